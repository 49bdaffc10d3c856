"""The transformers of wmt in plain numpy and float64, one sentence, head and token at a time.

Written from the facts (facts_text_graph_ctr.md, section 1, "Model"), by flax's names and shapes.
Slow, for small cases only. Rows of logits whose target is padding mean nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workloads.wmt.transformer import Config

Array = NDArray[Any]
Params = Mapping[str, Array]
Drop = Callable[[Array], Array]
Allowed = Callable[[int, int], bool]


def logits(params: Params, batch: Mapping[str, Array], config: Config, drop: Drop) -> Array:
    """Give the logits [B, L, V]; `drop` is called at every place where units may drop."""
    params = {path: array.astype(np.float64) for path, array in params.items()}
    rows = range(len(batch["inputs"]))
    return np.stack(
        [one_row(params, {k: v[i] for k, v in batch.items()}, config, drop) for i in rows]
    )


def one_row(params: Params, row: Mapping[str, Array], config: Config, drop: Drop) -> Array:
    """Give the logits [L, V] of a row, packed if it says so."""
    inputs, targets = row["inputs"], row["targets"]
    of_inputs = row.get("inputs_segmentation", np.ones_like(inputs))
    of_targets = row.get("targets_segmentation", np.ones_like(targets))
    in_places = row.get("inputs_position", np.arange(len(inputs)))
    out_places = row.get("targets_position", np.arange(len(targets)))

    def in_encoder(q: int, k: int) -> bool:
        return inputs[q] > 0 and inputs[k] > 0 and of_inputs[q] == of_inputs[k]

    def in_decoder(q: int, k: int) -> bool:
        both = targets[q] > 0 and targets[k] > 0
        return both and k <= q and of_targets[q] == of_targets[k]

    def across(q: int, k: int) -> bool:
        return targets[q] > 0 and inputs[k] > 0 and of_targets[q] == of_inputs[k]

    x = drop(embed(params, inputs, in_places))
    for i in range(config.n_layers):
        path = f"encoder/encoderblock_{i}"
        x = step(
            params,
            f"{path}/LayerNorm_0",
            x,
            config,
            attend(
                params, f"{path}/MultiHeadDotProductAttention_0", None, in_encoder, config, drop
            ),
        )
        x = step(
            params,
            f"{path}/LayerNorm_1",
            x,
            config,
            lambda y, p=path: mlp(params, f"{p}/MlpBlock_0", y, config, drop),
        )
    x = x if config.is_post_layer_norm else norm(params, "encoder/encoder_layernorm", x)

    shifted = np.concatenate([[0], targets[:-1]])
    y = drop(embed(params, shifted, out_places))
    for i in range(config.n_layers):
        path = f"decoder/encoderdecoderblock_{i}"
        y = step(
            params,
            f"{path}/LayerNorm_0",
            y,
            config,
            attend(
                params, f"{path}/MultiHeadDotProductAttention_0", None, in_decoder, config, drop
            ),
        )
        y = step(
            params,
            f"{path}/LayerNorm_1",
            y,
            config,
            attend(params, f"{path}/MultiHeadDotProductAttention_1", x, across, config, drop),
        )
        y = step(
            params,
            f"{path}/LayerNorm_2",
            y,
            config,
            lambda y, p=path: mlp(params, f"{p}/MlpBlock_0", y, config, drop),
        )
    y = y if config.is_post_layer_norm else norm(params, "decoder/encoderdecoder_layernorm", y)
    return y @ params["shared_embedding/embedding"].T / math.sqrt(config.width)


def embed(params: Params, tokens: Array, places: Array) -> Array:
    """Give each token's vector plus its place's: sines in one half, cosines in the other."""
    table = params["shared_embedding/embedding"]
    half = table.shape[1] // 2
    rows = []
    for token, place in zip(tokens, places, strict=True):
        angles = [place * math.exp(-j * math.log(10_000) / (half - 1)) for j in range(half)]
        waves = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        rows.append(table[token] + np.array(waves))
    return np.stack(rows)


def step(
    params: Params, norm_path: str, x: Array, config: Config, change: Callable[[Array], Array]
) -> Array:
    """Add a change, normalised before or after."""
    if config.is_post_layer_norm:
        return norm(params, norm_path, x + change(x))
    return x + change(norm(params, norm_path, x))


def attend(
    params: Params, path: str, asked: Array | None, allowed: Allowed, config: Config, drop: Drop
) -> Callable[[Array], Array]:
    """Give an attention to `asked`, or to itself, token by token and head by head."""

    def change(x: Array) -> Array:
        of = x if asked is None else asked
        answers = []
        for q in range(len(x)):
            may = [k for k in range(len(of)) if allowed(q, k)] or list(range(len(of)))
            answer = np.zeros(x.shape[1])
            for head in range(config.n_heads):
                kernels = {n: params[f"{path}/{n}/kernel"] for n in ("query", "key", "value")}
                query = config.attention_temperature * (x[q] @ kernels["query"][:, head])
                keys, values = (
                    of[may] @ kernels["key"][:, head],
                    of[may] @ kernels["value"][:, head],
                )
                scores = keys @ query / math.sqrt(config.width / config.n_heads)
                weights = np.exp(scores - scores.max())
                weights = weights / weights.sum()
                answer = answer + weights @ values @ params[f"{path}/out/kernel"][head]
            answers.append(answer)
        return drop(np.stack(answers))

    return change


def mlp(params: Params, path: str, x: Array, config: Config, drop: Drop) -> Array:
    """Two dense layers; the gate, if there is one, reads the MLP's input."""
    hidden = dense(params, f"{path}/Dense_0", x)
    hidden = np.tanh(hidden) if config.activation == "tanh" else np.maximum(hidden, 0)
    if config.is_glu:
        hidden = hidden * dense(params, f"{path}/Dense_1", x)
    last = 2 if config.is_glu else 1
    return drop(dense(params, f"{path}/Dense_{last}", drop(hidden)))


def norm(params: Params, path: str, x: Array) -> Array:
    """Normalise each row; epsilon 1e-6."""
    centred = x - x.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return normed * params[f"{path}/scale"] + params[f"{path}/bias"]


def dense(params: Params, path: str, x: Array) -> Array:
    """Multiply and add."""
    return x @ params[f"{path}/kernel"] + params[f"{path}/bias"]
