"""A DLRM in both frameworks with the same weights, and a slow reference of it in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.spec import Loss
from tests.workloads.pair import (
    Arrays,
    Pair,
)
from workloads.criteo import dlrm_flax, dlrm_torch
from workloads.criteo.dlrm import EMBED_INIT, FULL, LAYERNORM, RESNET, Config, layout_of

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


def unfilled(config: Config) -> torch.nn.Module:
    """Build the module without values, but for the places of its pairs."""
    with torch.device("meta"):
        model = dlrm_torch.build(config)
    model.to_empty(device="cpu")
    model.pairs_P = dlrm_torch.pairs()
    return model


PAIR = Pair(
    torch_build=dlrm_torch.build,
    flax_build=dlrm_flax.build,
    layout_of=layout_of,
    loss=Loss.SIGMOID_CROSS_ENTROPY,
    smallest_batch=lambda _: {"inputs": np.zeros((1, 39), np.float32)},
    torch_unfilled=unfilled,
)
torch_shapes, flax_shapes = PAIR.torch_shapes, PAIR.flax_shapes
flax_params, torch_state = PAIR.flax_params, PAIR.torch_state
torch_model, paths_by_name = PAIR.torch_model, PAIR.paths_by_name
torch_logits, flax_logits = PAIR.torch_outputs, PAIR.flax_outputs
torch_gradients, flax_gradients = PAIR.torch_gradients, PAIR.flax_gradients


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
