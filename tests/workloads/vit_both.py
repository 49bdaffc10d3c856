"""A vision transformer in both frameworks with the same weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Loss
from tests.workloads.pair import (
    Pair,
    random_weights,
)
from workloads.imagenet import vit_flax, vit_torch
from workloads.imagenet.vit import FULL, GLU, MAP, POST_LN, Config, layout_of

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


PAIR = Pair(
    torch_build=vit_torch.build,
    flax_build=vit_flax.build,
    layout_of=layout_of,
    loss=Loss.SOFTMAX_CROSS_ENTROPY,
    smallest_batch=lambda config: {"inputs": images(config, 1)},
)
torch_shapes, flax_shapes = PAIR.torch_shapes, PAIR.flax_shapes
flax_params, torch_state = PAIR.flax_params, PAIR.torch_state
torch_model, paths_by_name = PAIR.torch_model, PAIR.paths_by_name
torch_logits, flax_logits = PAIR.torch_outputs, PAIR.flax_outputs
torch_gradients, flax_gradients = PAIR.torch_gradients, PAIR.flax_gradients


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters of which every one matters."""
    return random_weights(torch_shapes(config), seed)
