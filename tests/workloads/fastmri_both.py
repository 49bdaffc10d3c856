"""A U-Net of fastmri in both frameworks with the same weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.spec import Loss
from tests.workloads.pair import (
    Pair,
    random_weights,
)
from workloads.fastmri import unet_flax, unet_torch
from workloads.fastmri.unet import FULL, LAYERNORM, MODEL_SIZE, TANH, Config, layout_of

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


def unfilled(config: Config) -> torch.nn.Module:
    """Build the module without values."""
    with torch.device("meta"):
        model = unet_torch.build(config)
    return model.to_empty(device="cpu")


PAIR = Pair(
    torch_build=unet_torch.build,
    flax_build=unet_flax.build,
    layout_of=layout_of,
    loss=Loss.MEAN_ABSOLUTE_ERROR,
    smallest_batch=lambda _: {"inputs": images(1, 32, 32)},
    torch_unfilled=unfilled,
)
torch_shapes, flax_shapes = PAIR.torch_shapes, PAIR.flax_shapes
flax_params, torch_state = PAIR.flax_params, PAIR.torch_state
torch_model, paths_by_name = PAIR.torch_model, PAIR.paths_by_name
torch_images, flax_images = PAIR.torch_outputs, PAIR.flax_outputs
torch_gradients, flax_gradients = PAIR.torch_gradients, PAIR.flax_gradients


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters of which every one matters."""
    return random_weights(torch_shapes(config), seed)
