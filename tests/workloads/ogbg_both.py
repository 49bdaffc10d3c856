"""A graph network of ogbg in both frameworks with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.backends.carry import to_flax, to_torch
from pacebench.spec import Loss, Mode
from tests.workloads.both import EVAL, by_path
from workloads.ogbg import gnn_flax, gnn_torch
from workloads.ogbg.gnn import FULL, GELU, MODEL_SIZE, SILU, Config, layout_of

Arrays = Mapping[str, NDArray[Any]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
FULL_VARIANTS = {"ogbg": FULL, "ogbg_gelu": GELU, "ogbg_silu": SILU, "ogbg_model_size": MODEL_SIZE}
# No two of its widths are equal, so that nothing fits by accident.
TINY = Config(n_outputs=5, latent=6, hidden=(7,), n_steps=2)
TINY_VARIANTS = {
    "base": TINY,
    "gelu": replace(TINY, activation="gelu"),
    "silu": replace(TINY, activation="silu"),
    "model_size": replace(TINY, hidden=(8, 7)),
}


def random_graphs(
    config: Config, n_shards: int, n_nodes: int, n_edges: int, n_graphs: int, seed: int = 0
) -> dict[str, Any]:
    """Give shards of random graphs: edges between any two nodes of a graph, a node in each."""
    generator = np.random.default_rng(seed)
    graphs = np.sort(generator.integers(0, n_graphs, (n_shards, n_nodes)), axis=1)
    graphs[:, :n_graphs] = np.arange(n_graphs)
    graphs.sort(axis=1)
    senders = generator.integers(0, n_nodes, (n_shards, n_edges))
    receivers = np.zeros_like(senders)
    for shard in range(n_shards):
        for edge, sender in enumerate(senders[shard]):
            own = np.flatnonzero(graphs[shard] == graphs[shard, sender])
            receivers[shard, edge] = generator.choice(own)
    inputs = (
        generator.integers(0, 20, (n_shards, n_nodes, 9)).astype(np.uint8),
        generator.integers(0, 5, (n_shards, n_edges, 3)).astype(np.uint8),
        *(places.astype(np.int32) for places in (senders, receivers, graphs)),
    )
    shape = (n_shards, n_graphs, config.n_outputs)
    return {
        "inputs": inputs,
        "targets": generator.integers(0, 2, shape).astype(np.float32),
        "weights": (generator.random(shape) < 0.6).astype(np.float32),
    }


@cache
def flax_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
    model = gnn_flax.build(config)
    batch = random_graphs(config, 1, 3, 4, 2)
    found = jax.eval_shape(lambda b: model.init(jax.random.PRNGKey(0), b, EVAL), batch)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


@cache
def torch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
    with torch.device("meta"):
        model = gnn_torch.build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = generator.standard_normal(shape, np.float32)
        is_scale = name.endswith("weight") and noise.ndim == 1
        scale = np.float32(0.2 if noise.ndim == 1 else 1 / np.sqrt(noise[0].size))
        state[name] = np.float32(is_scale) + scale * noise
    return state


def flax_params(config: Config, state: Arrays) -> Any:
    """Give flax's tree with torch's weights."""
    return to_flax(state, layout_of(config))[0]


def torch_model(config: Config, state: Arrays) -> torch.nn.Module:
    """Build the torch model with these weights."""
    model = gnn_torch.build(config)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    return model


def tensors(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Give a batch to torch."""
    inputs = tuple(torch.from_numpy(a) for a in batch["inputs"])
    return {"inputs": inputs, **{k: torch.from_numpy(batch[k]) for k in ("targets", "weights")}}


def quick_jit(function: Any) -> Any:
    """Compile without optimisation, in half the time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def torch_logits(
    config: Config, state: Arrays, batch: Mapping[str, Any], mode: Mode = EVAL
) -> NDArray[np.float32]:
    """Call the torch model."""
    with torch.no_grad():
        return torch_model(config, state)(tensors(batch), mode).numpy()


def flax_logits(
    config: Config, state: Arrays, batch: Mapping[str, Any], mode: Mode = EVAL
) -> NDArray[np.float32]:
    """Call the flax model, compiled anew; it has no key, so that drawing raises."""
    model = gnn_flax.build(config)
    call = quick_jit(lambda params: model.apply({"params": params}, batch, mode))
    return np.asarray(call(flax_params(config, state)))


def torch_gradients(
    config: Config, state: Arrays, batch: Mapping[str, Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model, moved = torch_model(config, state), tensors(batch)
    logits = model(moved, EVAL)
    loss = losses_torch.compute_loss(
        Loss.SIGMOID_CROSS_ENTROPY, moved["targets"], logits, moved["weights"]
    )
    loss.summed.backward()
    return logits.detach().numpy(), {k: v.grad.numpy() for k, v in model.named_parameters()}


def flax_gradients(
    config: Config, state: Arrays, batch: Mapping[str, Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model = gnn_flax.build(config)

    def compute_loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = model.apply({"params": params}, batch, EVAL)
        value = losses_jax.compute_loss(
            Loss.SIGMOID_CROSS_ENTROPY, batch["targets"], logits, batch["weights"]
        )
        return value.summed, logits

    compute = quick_jit(jax.grad(compute_loss, has_aux=True))
    gradients, logits = compute(flax_params(config, state))
    return np.asarray(logits), to_torch(gradients, {}, layout_of(config))


def paths_by_name(config: Config) -> dict[str, str]:
    """Give the flax path at which each torch parameter arrives, told by its values."""
    names = list(torch_shapes(config))
    numbered = {n: np.full(s, names.index(n)) for n, s in torch_shapes(config).items()}
    arrived = by_path(flax_params(config, numbered))
    return {names[int(array.flat[0])]: path for path, array in arrived.items()}


def assert_close(left: NDArray[Any], right: NDArray[Any], what: str) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= TOLERANCE * np.abs(right).max(), what
