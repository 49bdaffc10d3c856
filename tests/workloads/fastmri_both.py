"""A U-Net of fastmri in both frameworks with the same weights."""

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
from workloads.fastmri import unet_flax, unet_torch
from workloads.fastmri.unet import FULL, LAYERNORM, MODEL_SIZE, TANH, Config, layout_of

Arrays = Mapping[str, NDArray[Any]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
FULL_VARIANTS = {
    "fastmri": FULL,
    "fastmri_model_size": MODEL_SIZE,
    "fastmri_tanh": TANH,
    "fastmri_layernorm": LAYERNORM,
}
TINY = Config(n_pools=2, width=3)
TINY_VARIANTS = {
    "base": TINY,
    "one pool": replace(TINY, n_pools=1),
    "tanh": replace(TINY, activation="tanh"),
    "layernorm": replace(TINY, has_layer_norm=True),
}


def images(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Give random images [B, H, W]."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@cache
def torch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
    with torch.device("meta"):
        model = unet_torch.build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


@cache
def flax_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
    model = unet_flax.build(config)
    batch = {"inputs": jax.ShapeDtypeStruct((1, 32, 32), np.float32)}
    found = jax.eval_shape(lambda b: model.init(jax.random.PRNGKey(0), b, EVAL), batch)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


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
    return to_flax(state, layout_of(config))[0]


def torch_model(config: Config, state: Arrays) -> torch.nn.Module:
    """Build the torch model with these weights."""
    with torch.device("meta"):
        model = unet_torch.build(config)
    model.to_empty(device="cpu")
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    return model


def torch_images(
    config: Config, state: Arrays, inputs: NDArray[Any], mode: Mode
) -> NDArray[np.float32]:
    """Call the torch model."""
    with torch.no_grad():
        return torch_model(config, state)({"inputs": torch.from_numpy(inputs)}, mode).numpy()


def flax_images(
    config: Config, state: Arrays, inputs: NDArray[Any], mode: Mode
) -> NDArray[np.float32]:
    """Call the flax model, compiled anew; it has no key, so that drawing raises."""
    model = unet_flax.build(config)
    call = jax.jit(lambda params: model.apply({"params": params}, {"inputs": inputs}, mode))
    return np.asarray(call(flax_params(config, state)))


def torch_gradients(
    config: Config, state: Arrays, inputs: NDArray[Any], targets: NDArray[Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the images and the gradients of the summed loss, by torch's names."""
    model = torch_model(config, state)
    found = model({"inputs": torch.from_numpy(inputs)}, EVAL)
    loss = Loss.MEAN_ABSOLUTE_ERROR
    losses_torch.compute_loss(loss, torch.from_numpy(targets), found).summed.backward()
    return found.detach().numpy(), {k: v.grad.numpy() for k, v in model.named_parameters()}


def flax_gradients(
    config: Config, state: Arrays, inputs: NDArray[Any], targets: NDArray[Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the images and the gradients of the summed loss, by torch's names."""
    model = unet_flax.build(config)

    def compute_loss(params: Any) -> tuple[jax.Array, jax.Array]:
        found = model.apply({"params": params}, {"inputs": inputs}, EVAL)
        value = losses_jax.compute_loss(Loss.MEAN_ABSOLUTE_ERROR, targets, found)
        return value.summed, found

    compute = jax.jit(jax.grad(compute_loss, has_aux=True))
    gradients, found = compute(flax_params(config, state))
    return np.asarray(found), to_torch(gradients, {}, layout_of(config))


def assert_close(left: NDArray[Any], right: NDArray[Any], what: str) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= TOLERANCE * np.abs(right).max(), what
