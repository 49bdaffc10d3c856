"""The vision transformers in plain numpy and float64, one head and one patch at a time.

Written from the facts (facts_vision.md, section 3), by flax's names and shapes; the other order of
layer norm, which AlgoPerf v0.6 cannot build in jax, is v0.5's. Slow, for small cases only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.imagenet.vit import Config

Array = NDArray[Any]
Params = Mapping[str, Array]
Drop = Callable[[Array], Array]


def logits(params: Params, inputs: Array, config: Config, drop: Drop = lambda x: x) -> Array:
    """Give the logits [B, n_classes]; `drop` is called at every place where units may drop."""
    params = {path: array.astype(np.float64) for path, array in params.items()}
    return np.stack([one_example(params, image, config, drop) for image in inputs])


def one_example(params: Params, image: Array, config: Config, drop: Drop) -> Array:
    """Give the logits of an image [H, W, 3]."""
    x = drop(tokens(params, image, config.patch) + position_rows(config))
    for i in range(config.depth):
        path = f"Transformer/encoderblock_{i}"

        def attend(x: Array, path: str = path) -> Array:
            return drop(attention(params, f"{path}/MultiHeadDotProductAttention_1", x, x))

        def compute_mlp(x: Array, path: str = path) -> Array:
            return drop(mlp(params, f"{path}/MlpBlock_3", x, config.is_glu, drop))

        first, second = f"{path}/LayerNorm_0", f"{path}/LayerNorm_2"
        if config.is_post_layer_norm:
            x = layer_norm(params, first, x + attend(x))
            x = layer_norm(params, second, x + compute_mlp(x))
        else:
            x = x + attend(layer_norm(params, first, x))
            x = x + compute_mlp(layer_norm(params, second, x))
    if not config.is_post_layer_norm:
        x = layer_norm(params, "Transformer/encoder_layernorm", x)
    pooled = map_head(params, x) if config.has_map_head else x.mean(0)
    return dense(params, "head", np.tanh(dense(params, "pre_logits", pooled)))


def tokens(params: Params, image: Array, patch: int) -> Array:
    """Give one row per patch: the sum over its pixels and channels, weighted; y outer, x inner."""
    kernel, rows = params["conv_patch_extract/kernel"], []
    for y in range(0, len(image), patch):
        for x in range(0, len(image[0]), patch):
            pixels = image[y : y + patch, x : x + patch].astype(np.float64)
            rows.append((pixels[..., None] * kernel).sum((0, 1, 2)))
    return np.stack(rows) + params["conv_patch_extract/bias"]


def position_rows(config: Config) -> Array:
    """Give the positions [T, D], number by number."""
    n, q = config.n_side // config.patch, config.width // 4
    omegas = [10_000 ** (-k / (q - 1)) for k in range(q)]
    rows = []
    for y in range(n):
        for x in range(n):
            row = [math.sin(x * omega) for omega in omegas]
            row += [math.cos(x * omega) for omega in omegas]
            row += [math.sin(y * omega) for omega in omegas]
            row += [math.cos(y * omega) for omega in omegas]
            rows.append(row)
    return np.array(rows)


def attention(params: Params, path: str, asking: Array, asked: Array) -> Array:
    """Give softmax(q kᵀ / √(head width)) v of every head, times its part of `out`, added up."""
    p = {name: params[f"{path}/{name}"] for name in _names("query", "key", "value", "out")}
    total = p["out/bias"]
    for head in range(p["query/kernel"].shape[1]):
        q = asking @ p["query/kernel"][:, head] + p["query/bias"][head]
        k = asked @ p["key/kernel"][:, head] + p["key/bias"][head]
        v = asked @ p["value/kernel"][:, head] + p["value/bias"][head]
        scores = q @ k.T / math.sqrt(q.shape[1])
        weights = np.exp(scores - scores.max(1, keepdims=True))
        weights = weights / weights.sum(1, keepdims=True)
        total = total + weights @ v @ p["out/kernel"][head]
    return total


def mlp(params: Params, path: str, x: Array, is_glu: bool, drop: Drop) -> Array:
    """Two dense layers with gelu between them; the gate reads the activated hidden units."""
    hidden = gelu(dense(params, f"{path}/Dense_0", x))
    if is_glu:
        hidden = hidden * dense(params, f"{path}/Dense_1", hidden)
    return dense(params, f"{path}/Dense_{2 if is_glu else 1}", drop(hidden))


def map_head(params: Params, x: Array) -> Array:
    """Let the probe ask all tokens; add an MLP of the normalised answer. Nothing drops."""
    probe = params["MAPHead_0/probe"][0]
    z = attention(params, "MAPHead_0/MultiHeadDotProductAttention_0", probe, x)
    normed = layer_norm(params, "MAPHead_0/LayerNorm_0", z)
    return (z + mlp(params, "MAPHead_0/MlpBlock_0", normed, False, lambda x: x))[0]


def gelu(x: Array) -> Array:
    """Hendrycks and Gimpel 2016 (arXiv:1606.08415), section 2: the approximation by tanh."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def layer_norm(params: Params, path: str, x: Array) -> Array:
    """Normalise each row; epsilon 1e-6."""
    centred = x - x.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return normed * params[f"{path}/scale"] + params[f"{path}/bias"]


def dense(params: Params, path: str, x: Array) -> Array:
    """Multiply and add."""
    return x @ params[f"{path}/kernel"] + params[f"{path}/bias"]


def _names(*roles: str) -> list[str]:
    return [f"{role}/{leaf}" for role in roles for leaf in ("kernel", "bias")]
