"""A language model in both frameworks with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jax
import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.backends.carry import to_flax, to_torch
from pacebench.spec import Loss
from tests.workloads.both import EVAL
from workloads.lm import decoder_flax, decoder_torch
from workloads.lm.decoder import Config, layout_of

Arrays = Mapping[str, NDArray[Any]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
# No two of its widths are equal, so that nothing fits by accident.
TINY = Config(
    n_vocab=19,
    context=8,
    width=12,
    n_heads=3,
    mlp_width=10,
    n_layers=2,
    precision="float32",
)


def windows(
    config: Config, n_rows: int, seed: int = 0, length: int | None = None
) -> dict[str, Any]:
    """Give random inputs and targets."""
    generator = np.random.default_rng(seed)
    shape = (n_rows, (length or config.context) + 1)
    tokens = generator.integers(0, config.n_vocab, shape).astype(np.int32)
    return {"inputs": tokens[:, :-1].copy(), "targets": tokens[:, 1:].copy()}


@cache
def flax_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
    model = decoder_flax.build(config)
    tokens = jax.ShapeDtypeStruct((1, 4), np.int32)
    found = jax.eval_shape(lambda t: model.init(jax.random.PRNGKey(0), {"inputs": t}, EVAL), tokens)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


@cache
def torch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
    with torch.device("meta"):
        model = decoder_torch.build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = np.asarray(generator.standard_normal(shape, np.float32))
        centre = {0: 3.0, 1: 1.0}.get(noise.ndim, 0.0)
        scale = 0.3 if noise.ndim < 2 else noise.shape[-1] ** -0.5
        state[name] = np.asarray(centre + scale * noise, np.float32)
    return state


def flax_params(config: Config, state: Arrays) -> Any:
    """Give flax's tree with torch's weights."""
    return to_flax(state, layout_of(config), flax_shapes(config))[0]


def torch_state(config: Config, params: Any) -> dict[str, NDArray[Any]]:
    """Give torch's arrays with the weights (or gradients) of flax's tree."""
    return to_torch(params, {}, layout_of(config), torch_shapes(config))


def torch_model(config: Config, state: Arrays) -> torch.nn.Module:
    """Build the torch model with these weights."""
    model = decoder_torch.build(config)
    model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    return model


def torch_logits(config: Config, state: Arrays, tokens_BL: NDArray[Any]) -> NDArray[Any]:
    """Call the torch model."""
    with torch.no_grad():
        logits = torch_model(config, state)({"inputs": torch.from_numpy(tokens_BL)}, EVAL)
    return logits.float().numpy()


def flax_logits(config: Config, state: Arrays, tokens_BL: NDArray[Any]) -> NDArray[Any]:
    """Call the flax model."""
    logits = flax_call(config)(flax_params(config, state), tokens_BL)
    return np.asarray(logits.astype(np.float32))


@cache
def flax_call(config: Config) -> Any:
    """Compile the flax model: call(params, inputs) -> logits."""
    model = decoder_flax.build(config)
    return quick_jit(lambda p, tokens: model.apply({"params": p}, {"inputs": tokens}, EVAL))


def quick_jit(function: Any) -> Any:
    """Compile without optimisation, in half the time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def torch_gradients(config: Config, state: Arrays, batch: Mapping[str, Any]) -> Arrays:
    """Give the gradients of the summed loss by torch's names."""
    model = torch_model(config, state)
    moved = {k: torch.from_numpy(v) for k, v in batch.items()}
    loss = Loss.SOFTMAX_CROSS_ENTROPY
    losses_torch.compute_loss(loss, moved["targets"], model(moved, EVAL)).summed.backward()
    return {k: v.grad.numpy() for k, v in model.named_parameters()}


def flax_gradients(config: Config, state: Arrays, batch: Mapping[str, Any]) -> Arrays:
    """Give the gradients of the summed loss by torch's names."""
    model = decoder_flax.build(config)

    def compute_loss(params: Any) -> jax.Array:
        logits = model.apply({"params": params}, dict(batch), EVAL)
        return losses_jax.compute_loss(Loss.SOFTMAX_CROSS_ENTROPY, batch["targets"], logits).summed

    gradients = quick_jit(jax.grad(compute_loss))(flax_params(config, state))
    return torch_state(config, gradients)


def assert_close(
    left: NDArray[Any], right: NDArray[Any], what: str, tolerance: float = TOLERANCE
) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= tolerance * np.abs(right).max(), what
