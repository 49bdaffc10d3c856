"""A language model in both frameworks with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Loss
from tests.workloads.pair import (
    Arrays,
    Pair,
)
from workloads.lm import decoder_flax, decoder_torch
from workloads.lm.decoder import Config, layout_of

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


PAIR = Pair(
    torch_build=decoder_torch.build,
    flax_build=decoder_flax.build,
    layout_of=layout_of,
    loss=Loss.SOFTMAX_CROSS_ENTROPY,
    smallest_batch=lambda config: windows(config, 1, length=4),
)
torch_shapes, flax_shapes = PAIR.torch_shapes, PAIR.flax_shapes
flax_params, torch_state = PAIR.flax_params, PAIR.torch_state
torch_model, paths_by_name = PAIR.torch_model, PAIR.paths_by_name
torch_logits, flax_call = PAIR.torch_outputs, cache(PAIR.flax_call)
torch_gradients, flax_gradients = PAIR.torch_gradients, PAIR.flax_gradients


def flax_logits(config: Config, state: Arrays, batch: Mapping[str, Any]) -> NDArray[np.float32]:
    """Call the flax model, compiled once."""
    return np.asarray(flax_call(config)(flax_params(config, state), dict(batch)), np.float32)


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
