"""The language model in plain numpy, position by position, written from AlgoPerf's facts alone.

Parameters come by flax path, as facts_text_graph_ctr.md section 4 names them. Everything is
float64, nothing is shared with the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
THETA = 500_000.0


def rms_norm(row: Array, scale: Array) -> Array:
    """Give the row over its root mean square, scaled."""
    return row / np.sqrt(np.mean(row**2) + 1e-6) * scale


def turn(head: Array, position: int) -> Array:
    """Give a head's vector with each neighbouring pair turned by its angle."""
    width = len(head)
    turned = np.empty(width)
    for i in range(width // 2):
        angle = position * THETA ** (-2 * i / width)
        x0, x1 = head[2 * i], head[2 * i + 1]
        turned[2 * i] = x0 * np.cos(angle) - x1 * np.sin(angle)
        turned[2 * i + 1] = x1 * np.cos(angle) + x0 * np.sin(angle)
    return turned


def shortened(head: Array) -> Array:
    """Give a head's vector over its length."""
    return head / (np.sqrt((head**2).sum()) + 1e-6)


def attend(rows: Array, params: Mapping[str, Any], where: str) -> Array:
    """Give what each position gets from itself and those before it."""
    query, key, value = (
        np.asarray(params[f"{where}/{name}/kernel"], np.float64)
        for name in ("query", "key", "value")
    )
    scale = float(params[f"{where}/attn_scale"])
    n_heads, head_width = query.shape[1:]
    out = np.asarray(params[f"{where}/attn_out_proj/kernel"], np.float64)
    answers = np.zeros((len(rows), n_heads * head_width))
    for head in range(n_heads):
        asks = [shortened(turn(row @ query[:, head], p)) * scale for p, row in enumerate(rows)]
        keys = [shortened(turn(row @ key[:, head], p)) for p, row in enumerate(rows)]
        values = [row @ value[:, head] for row in rows]
        for position, ask in enumerate(asks):
            scores = np.array([ask @ keys[i] for i in range(position + 1)])
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            part = slice(head * head_width, (head + 1) * head_width)
            answers[position, part] = sum(c * v for c, v in zip(chances, values, strict=False))
    return answers @ out


def feed(row: Array, params: Mapping[str, Any], where: str) -> Array:
    """Give what the gated MLP makes of one position."""
    hidden = row @ np.asarray(params[f"{where}/Dense_0/kernel"], np.float64)
    half = len(hidden) // 2
    gated = hidden[:half] * (1 / (1 + np.exp(-hidden[half:])))
    return gated @ np.asarray(params[f"{where}/Dense_1/kernel"], np.float64)


def logits(params: Mapping[str, Any], tokens_BL: NDArray[Any], n_layers: int) -> Array:
    """Give the logits [B, L, V]."""
    embedding = np.asarray(params["embed/embedding"], np.float64)
    results = []
    for tokens in tokens_BL:
        rows = np.stack([embedding[t] for t in tokens])
        for i in range(n_layers):
            block = f"blocks_{i}"
            normed = [rms_norm(row, params[f"{block}/RMSNorm_0/scale"]) for row in rows]
            rows = rows + attend(np.stack(normed), params, f"{block}/CausalAttn_0")
            normed = [rms_norm(row, params[f"{block}/RMSNorm_1/scale"]) for row in rows]
            rows = rows + np.stack([feed(row, params, f"{block}/Mlp_0") for row in normed])
        last = np.stack([rms_norm(row, params["out_ln/scale"]) for row in rows])
        results.append(last @ embedding.T)
    return np.stack(results)
