"""A transformer of wmt in both frameworks with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Loss, Mode
from tests.workloads.pair import (
    Arrays,
    Pair,
)
from workloads.wmt import transformer_flax, transformer_torch
from workloads.wmt.transformer import ATTENTION_TEMP, FULL, GLU_TANH, POST_LN, Config, layout_of

FULL_VARIANTS = {
    "wmt": FULL,
    "wmt_post_ln": POST_LN,
    "wmt_attention_temp": ATTENTION_TEMP,
    "wmt_glu_tanh": GLU_TANH,
}
# No two of its widths are equal, so that nothing fits by accident.
TINY = Config(n_vocab=19, width=12, n_heads=3, mlp_width=10, n_layers=1, max_length=16)
TINY_VARIANTS = {
    "base": TINY,
    "post_ln": replace(TINY, is_post_layer_norm=True),
    "attention_temp": replace(TINY, attention_temperature=4.0),
    "glu_tanh": replace(TINY, is_glu=True, activation="tanh"),
}
ALL = replace(
    TINY, is_post_layer_norm=True, attention_temperature=4.0, is_glu=True, activation="tanh"
)


def rows(config: Config, n_rows: int, n_inputs: int, n_targets: int) -> dict[str, Any]:
    """Give rows of one random sentence, all but the first filled up with padding."""
    generator = np.random.default_rng(n_rows)
    batch: dict[str, Any] = {}
    for name, length in (("inputs", n_inputs), ("targets", n_targets)):
        tokens = generator.integers(1, config.n_vocab, (n_rows, length)).astype(np.int32)
        for i in range(1, n_rows):
            tokens[i, length - i :] = 0
        batch[name] = tokens
    return batch | {"weights": (batch["targets"] > 0).astype(np.float32)}


def packed_rows(config: Config) -> dict[str, Any]:
    """Give two packed rows of 9 and 8 tokens: two and three sentences, with an <unk> inside one."""
    lengths = {"inputs": ([4, 3], [2, 3, 4]), "targets": ([5, 3], [1, 2, 4])}
    sizes = {"inputs": 9, "targets": 8}
    generator = np.random.default_rng(3)
    batch: dict[str, Any] = {}
    for name, of_rows in lengths.items():
        tokens, places, sentences = (np.zeros((2, sizes[name]), np.int32) for _ in range(3))
        for i, of_row in enumerate(of_rows):
            start = 0
            for number, length in enumerate(of_row, 1):
                part = slice(start, start + length)
                tokens[i, part] = generator.integers(1, config.n_vocab, length)
                places[i, part], sentences[i, part] = np.arange(length), number
                start += length
        tokens[0, 2] = 0  # <unk> is padding's number: no sentence, no weight
        sentences[0, 2] = 0
        batch[name] = tokens
        batch |= {f"{name}_position": places, f"{name}_segmentation": sentences}
    return batch | {"weights": (batch["targets"] > 0).astype(np.float32)}


PAIR = Pair(
    torch_build=transformer_torch.build,
    flax_build=transformer_flax.build,
    layout_of=layout_of,
    loss=Loss.SOFTMAX_CROSS_ENTROPY,
    smallest_batch=lambda config: rows(config, 1, 4, 4),
)
torch_shapes, flax_shapes = PAIR.torch_shapes, PAIR.flax_shapes
flax_params, torch_state = PAIR.flax_params, PAIR.torch_state
torch_model, paths_by_name = PAIR.torch_model, PAIR.paths_by_name
torch_logits, flax_call = PAIR.torch_outputs, cache(PAIR.flax_call)
torch_gradients, flax_gradients = PAIR.torch_gradients, PAIR.flax_gradients


def flax_logits(
    config: Config, state: Arrays, batch: Mapping[str, Any], mode: Mode
) -> NDArray[np.float32]:
    """Call the flax model, compiled once."""
    return np.asarray(flax_call(config, mode)(flax_params(config, state), dict(batch)))


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = generator.standard_normal(shape, np.float32)
        is_scale = name.endswith("weight") and noise.ndim == 1
        is_small = noise.ndim == 1 or "embedding" in name
        scale = np.float32(0.5 if is_small else 1 / np.sqrt(noise[0].size))
        state[name] = np.float32(is_scale) + scale * noise
    return state


def algoperf_torch_name(name: str) -> tuple[str, int, int]:
    """Give AlgoPerf's torch name for one of ours, which of its parts that is, and of how many."""
    name = name.replace("encoder.", "encoder.encoder.", 1).replace("mlp.", "")
    if name.startswith("decoder."):
        name = name.replace("decoder.", "decoder.decoder.", 1)
    if "self_attn" in name and "out_proj" not in name:
        for part, role in enumerate(("q_proj", "k_proj", "v_proj")):
            if role in name:
                return name.replace(role, "in_proj"), part, 3
    name = name.replace("cross_attn", "multihead_attn")
    for part, role in enumerate(("k_proj", "v_proj")):
        if role in name:
            return name.replace(role, "kv_proj"), part, 2
    return name, 0, 1
