"""The encoder-decoder of wmt and its variants: configurations, names and positions.

Sources: AlgoPerf v0.6, wmt (`jax`), after flax's "wmt" example; Vaswani et al. 2017
(arXiv:1706.03762).

Letters: L positions, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PacebenchError
from pacebench.spec import Mode

# AlgoPerf v0.6, wmt: the longest wave of the fixed positions, over 2π.
LONGEST_WAVE = 10_000.0
# AlgoPerf v0.6, wmt: stated in both frameworks.
LAYER_NORM_EPSILON = 1e-6
# AlgoPerf v0.6, wmt `MlpBlock`: biases are N(0, (10⁻⁶)²).
MLP_BIAS_STDDEV = 1e-6
# AlgoPerf v0.6, wmt in torch: what a masked score is. In float32 no score is left beside it, so a
# row whose every entry is masked becomes uniform, as in jax.
MASKED_SCORE = -1e10
# AlgoPerf v0.6, wmt: padding, and what the decoder reads in front of the first token.
PADDING, START = 0, 0
# How the models are called while they write: as in every evaluation.
EVALUATION = Mode(train=False, normalize_with="running", update_running=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's (v0.6, wmt)."""

    n_vocab: int = 32_000
    width: int = 1024
    n_heads: int = 16
    mlp_width: int = 1024
    n_layers: int = 6
    """Layers of the encoder, and of the decoder."""
    max_length: int = 256
    """Positions of a row at most."""
    dropout_rate: float = 0.1
    """The rate where a call names none."""
    is_post_layer_norm: bool = False
    """Whether the blocks normalise after adding, and the stacks not at their ends."""
    attention_temperature: float = 1.0
    """Multiplies the queries of every attention: above 1 the softmax is sharper."""
    is_glu: bool = False
    """Whether a gate multiplies the hidden units of the MLPs."""
    activation: Literal["relu", "tanh"] = "relu"

    def __post_init__(self) -> None:
        """Raise PacebenchError where heads or positions do not come out even."""
        if self.width % self.n_heads:
            raise PacebenchError(f"{self.n_heads} heads do not share a width of {self.width}")
        if self.width % 2 or self.width < 4:
            raise PacebenchError(f"the positions need a width of 4, 6, 8, …, not {self.width}")
        if self.activation not in ("relu", "tanh"):
            raise PacebenchError(f"activation '{self.activation}' is unknown (known: relu, tanh)")


FULL = Config()
POST_LN = replace(FULL, is_post_layer_norm=True)
ATTENTION_TEMP = replace(FULL, attention_temperature=4.0)
GLU_TANH = replace(FULL, is_glu=True, activation="tanh")
# Ours: the same code for one CPU core and a small vocabulary.
MINI = Config(n_vocab=256, width=64, n_heads=4, mlp_width=128, n_layers=2, max_length=32)

# AlgoPerf v0.6, both frameworks, by the name of the workload.
N_PARAMETERS = {
    "wmt": 133_521_408,
    "wmt_post_ln": 133_517_312,
    "wmt_attention_temp": 133_521_408,
    "wmt_glu_tanh": 146_116_608,
}
# AlgoPerf v0.6: the one embedding is the output layer too.
OUTPUT_PARAMETERS = {
    "torch": ("shared_embedding.weight",),
    "jax": ("shared_embedding/embedding",),
}


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model.

    Flax keeps the heads of an attention apart and torch does not, so whoever carries weights by it
    hands the shapes of the arriving model to `pacebench.backends.carry` too.
    """
    layout = {"shared_embedding.weight": "shared_embedding/embedding"}
    for i in range(config.n_layers):
        block, path = f"encoder.layers.{i}", f"encoder/encoderblock_{i}"
        layout |= _block(block, path, config, ("self_attn",))
        block, path = f"decoder.layers.{i}", f"decoder/encoderdecoderblock_{i}"
        layout |= _block(block, path, config, ("self_attn", "cross_attn"))
    if not config.is_post_layer_norm:
        layout["encoder.norm"] = "encoder/encoder_layernorm"
        layout["decoder.norm"] = "decoder/encoderdecoder_layernorm"
    return layout


def positions(n_positions: int, width: int) -> NDArray[np.float32]:
    """Give the fixed positions [L, D].

    The first half of a row is sin(p f_j), the second cos(p f_j), with
    f_j = 10000^(-j / (D/2 - 1)), j = 0 … D/2 - 1. Source: AlgoPerf v0.6, wmt, `sinusoidal_init`.
    """
    n_frequencies = width // 2
    steps = np.arange(n_frequencies) / (n_frequencies - 1)
    angles_LF = np.outer(np.arange(n_positions), np.exp(-steps * math.log(LONGEST_WAVE)))
    return np.concatenate([np.sin(angles_LF), np.cos(angles_LF)], axis=1).astype(np.float32)


def _block(module: str, path: str, config: Config, attentions: tuple[str, ...]) -> dict[str, str]:
    layout: dict[str, str] = {}
    roles = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
    for i, attention in enumerate(attentions):
        there = f"{path}/MultiHeadDotProductAttention_{i}"
        layout |= {f"{module}.{attention}.{t}": f"{there}/{f}" for t, f in roles.items()}
    names = ("linear1", "linear_glu", "linear2") if config.is_glu else ("linear1", "linear2")
    layout |= {
        f"{module}.mlp.{name}": f"{path}/MlpBlock_0/Dense_{i}" for i, name in enumerate(names)
    }
    n_norms = len(attentions) + 1
    return layout | {f"{module}.norm{i + 1}": f"{path}/LayerNorm_{i}" for i in range(n_norms)}
