"""A DLRM in both frameworks with the same weights, and a slow reference of it in numpy."""

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
from tests.workloads.both import EVAL
from workloads.criteo import dlrm_flax, dlrm_torch
from workloads.criteo.dlrm import EMBED_INIT, FULL, LAYERNORM, RESNET, Config, layout_of

Arrays = Mapping[str, NDArray[Any]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
FULL_VARIANTS = {
    "criteo1tb": FULL,
    "criteo1tb_layernorm": LAYERNORM,
    "criteo1tb_embed_init": EMBED_INIT,
    "criteo1tb_resnet": RESNET,
}
# No two of its widths are equal where they may differ, so that nothing fits by accident.
TINY = Config(n_rows=50, width=6, bottom=(9, 6), top=(11, 7, 1))
TINY_VARIANTS = {
    "base": TINY,
    "layernorm": replace(TINY, has_layer_norm=True),
    "resnet": replace(TINY, is_residual=True, bottom=(9, 9, 9), top=(7, 7, 7, 1)),
}


def examples(n_examples: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Give a random batch; ids go up to those of the largest column."""
    generator = np.random.default_rng(seed)
    numbers = np.log1p(generator.integers(0, 1000, (n_examples, 13)))
    ids = generator.integers(0, 39_979_771, (n_examples, 26))
    targets = generator.integers(0, 2, (n_examples, 1))
    return {
        "inputs": np.concatenate([numbers, ids], axis=1).astype(np.float32),
        "targets": targets.astype(np.float32),
    }


@cache
def flax_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
    model = dlrm_flax.build(config)
    batch = {"inputs": jax.ShapeDtypeStruct((1, 39), np.float32)}
    found = jax.eval_shape(lambda b: model.init(jax.random.PRNGKey(0), b, EVAL), batch)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


@cache
def torch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
    with torch.device("meta"):
        model = dlrm_torch.build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = generator.standard_normal(shape, np.float32)
        if name == "embedding_table.weight":
            state[name] = noise
            continue
        # Biases above 0 leave few units dead: what a layer norm is given must not be constant.
        offset = {"weight": 1.0, "bias": 0.5}[name.rpartition(".")[2]] if noise.ndim == 1 else 0.0
        scale = 0.2 if noise.ndim == 1 else 1 / np.sqrt(noise[0].size)
        state[name] = (offset + scale * noise).astype(np.float32)
    return state


def torch_model(config: Config, state: Arrays) -> torch.nn.Module:
    """Build the torch model with these weights."""
    with torch.device("meta"):
        model = dlrm_torch.build(config)
    model.to_empty(device="cpu")
    model.pairs_P = dlrm_torch.pairs()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    return model


def torch_logits(
    config: Config, state: Arrays, batch: Arrays, mode: Mode = EVAL
) -> NDArray[np.float32]:
    """Call the torch model."""
    with torch.no_grad():
        inputs = torch.from_numpy(batch["inputs"])
        return torch_model(config, state)({"inputs": inputs}, mode).numpy()


def flax_logits(config: Config, state: Arrays, batch: Arrays) -> NDArray[np.float32]:
    """Call the flax model, compiled anew; it has no key, so that drawing raises."""
    model = dlrm_flax.build(config)
    params = to_flax(state, layout_of(config))[0]
    return np.asarray(jax.jit(lambda p: model.apply({"params": p}, batch, EVAL))(params))


def torch_gradients(
    config: Config, state: Arrays, batch: Arrays
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model = torch_model(config, state)
    tensors = {k: torch.from_numpy(v) for k, v in batch.items()}
    logits = model(tensors, EVAL)
    loss = Loss.SIGMOID_CROSS_ENTROPY
    losses_torch.compute_loss(loss, tensors["targets"], logits).summed.backward()
    return logits.detach().numpy(), {k: v.grad.numpy() for k, v in model.named_parameters()}


def flax_gradients(
    config: Config, state: Arrays, batch: Arrays
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model = dlrm_flax.build(config)

    def compute_loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = model.apply({"params": params}, batch, EVAL)
        loss = Loss.SIGMOID_CROSS_ENTROPY
        return losses_jax.compute_loss(loss, batch["targets"], logits).summed, logits

    compute = jax.jit(jax.grad(compute_loss, has_aux=True))
    gradients, logits = compute(to_flax(state, layout_of(config))[0])
    return np.asarray(logits), to_torch(gradients, {}, layout_of(config))


def reference_logits(config: Config, state: Arrays, batch: Arrays) -> NDArray[np.float64]:
    """Compute the logits example by example in float64, as the facts tell the model."""
    weights = {k: v.astype(np.float64) for k, v in state.items()}
    found = [_logit(config, weights, row) for row in batch["inputs"]]
    return np.array(found)[:, None]


def _logit(config: Config, weights: Arrays, row: NDArray[np.float32]) -> float:
    def dense(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def norm(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        if f"{name}.weight" not in weights:
            return x
        centred = x - x.mean()
        unit = centred / np.sqrt((centred**2).mean() + 1e-6)
        return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def layers(part: str, n: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
        for i in range(n):
            y = norm(f"{part}_norm.{i}", np.maximum(dense(f"{part}_mlp.{i}", x), 0))
            x = x + y if config.is_residual and i > 0 else y
        return x

    bottom = layers("bot", len(config.bottom), row[:13].astype(np.float64))
    table = weights["embedding_table.weight"]
    embedded = [norm("embedding_norm", table[int(value) % len(table)]) for value in row[13:]]
    if config.is_residual:
        joined = np.concatenate([bottom, *embedded])
    else:
        vectors = [bottom, *embedded]
        products = [vectors[i] @ vectors[j] for i in range(27) for j in range(i, 27)]
        joined = np.concatenate([bottom, products])
    n_top = len(config.top)
    return float(dense(f"top_mlp.{n_top - 1}", layers("top", n_top - 1, joined))[0])


def assert_close(left: NDArray[Any], right: NDArray[Any], what: str) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= TOLERANCE * np.abs(right).max(), what
