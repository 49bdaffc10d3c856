"""A vision transformer in both frameworks with the same weights."""

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
from workloads.imagenet import vit_flax, vit_torch
from workloads.imagenet.vit import FULL, GLU, MAP, POST_LN, Config, layout_of

Arrays = Mapping[str, NDArray[Any]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
FULL_VARIANTS = {
    "imagenet_vit": FULL,
    "imagenet_vit_glu": GLU,
    "imagenet_vit_post_ln": POST_LN,
    "imagenet_vit_map": MAP,
}
# No two of its widths are equal, so that nothing fits by accident.
TINY = Config(width=24, depth=1, mlp_width=40, n_heads=3, patch=4, n_side=12, n_classes=7)
TINY_VARIANTS = {
    "base": TINY,
    "glu": replace(TINY, is_glu=True),
    "post_ln": replace(TINY, is_post_layer_norm=True),
    "map": replace(TINY, has_map_head=True),
    "all": replace(TINY, is_glu=True, is_post_layer_norm=True, has_map_head=True),
}


def images(config: Config, n_examples: int, seed: int = 0) -> NDArray[np.float32]:
    """Give random images [B, H, W, 3]."""
    shape = (n_examples, config.n_side, config.n_side, 3)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@cache
def flax_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
    model = vit_flax.build(config)
    batch = {"inputs": jax.ShapeDtypeStruct((1, config.n_side, config.n_side, 3), np.float32)}
    found = jax.eval_shape(lambda b: model.init(jax.random.PRNGKey(0), b, EVAL), batch)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


@cache
def torch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
    with torch.device("meta"):
        model = vit_torch.build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = generator.normal(size=shape)
        is_scale = name.endswith("weight") and noise.ndim == 1
        scale = 0.2 if noise.ndim == 1 else 1 / np.sqrt(noise[0].size)
        state[name] = (is_scale + scale * noise).astype(np.float32)
    return state


def flax_params(config: Config, state: Arrays) -> Any:
    """Give flax's tree with torch's weights."""
    return to_flax(state, layout_of(config), flax_shapes(config))[0]


def torch_state(config: Config, params: Any) -> dict[str, NDArray[Any]]:
    """Give torch's arrays with the weights (or gradients) of flax's tree."""
    return to_torch(params, {}, layout_of(config), torch_shapes(config))


def torch_model(config: Config, state: Arrays) -> torch.nn.Module:
    """Build the torch model with these weights."""
    model = vit_torch.build(config)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    return model


def torch_logits(
    config: Config, state: Arrays, inputs: NDArray[Any], mode: Mode
) -> NDArray[np.float32]:
    """Call the torch model."""
    with torch.no_grad():
        return torch_model(config, state)({"inputs": torch.from_numpy(inputs)}, mode).numpy()


def flax_logits(
    config: Config, state: Arrays, inputs: NDArray[Any], mode: Mode
) -> NDArray[np.float32]:
    """Call the flax model, compiled anew; it has no key, so that drawing raises."""
    model = vit_flax.build(config)
    call = jax.jit(lambda params: model.apply({"params": params}, {"inputs": inputs}, mode))
    return np.asarray(call(flax_params(config, state)))


def torch_gradients(
    config: Config, state: Arrays, inputs: NDArray[Any], targets: NDArray[Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model = torch_model(config, state)
    logits = model({"inputs": torch.from_numpy(inputs)}, EVAL)
    loss = Loss.SOFTMAX_CROSS_ENTROPY
    losses_torch.compute_loss(loss, torch.from_numpy(targets), logits).summed.backward()
    return logits.detach().numpy(), {k: v.grad.numpy() for k, v in model.named_parameters()}


def flax_gradients(
    config: Config, state: Arrays, inputs: NDArray[Any], targets: NDArray[Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model = vit_flax.build(config)

    def compute_loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = model.apply({"params": params}, {"inputs": inputs}, EVAL)
        value = losses_jax.compute_loss(Loss.SOFTMAX_CROSS_ENTROPY, targets, logits)
        return value.summed, logits

    compute = jax.jit(jax.grad(compute_loss, has_aux=True))
    gradients, logits = compute(flax_params(config, state))
    return np.asarray(logits), torch_state(config, gradients)


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
