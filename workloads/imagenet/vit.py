"""The vision transformers of imagenet_vit and its variants: configurations, names and positions.

Sources: AlgoPerf v0.6, imagenet_vit (`jax`); Dosovitskiy et al. 2020 (arXiv:2010.11929), with the
positions and the pooling of Beyer et al. 2022 (arXiv:2205.01580).

Letters: T tokens, D width, K frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PacebenchError
from pacebench.spec import Mode

# AlgoPerf v0.6, `posemb_sincos_2d`: the longest wave, in tokens over 2π.
LONGEST_WAVE = 10_000.0
# flax.linen.LayerNorm's default, which AlgoPerf v0.6 keeps in jax and states in torch.
LAYER_NORM_EPSILON = 1e-6
# AlgoPerf v0.6, `MlpBlock`: biases are N(0, (10⁻⁶)²).
MLP_BIAS_STDDEV = 1e-6
# AlgoPerf v0.6 in jax calls the MLP of the MAP head as in evaluation, always;
# its torch (v0.6 only) drops there.
MAP_MODE = Mode(train=False, normalize_with="running", update_running=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's ViT-S/16 (v0.6, imagenet_vit)."""

    width: int = 384
    depth: int = 12
    mlp_width: int = 1536
    n_heads: int = 6
    patch: int = 16
    """Pixels along one side of a patch."""
    n_side: int = 224
    """Pixels along one side of an image."""
    n_classes: int = 1000
    dropout_rate: float = 0.0
    """The rate where a call names none."""
    is_glu: bool = False
    """Whether a gate multiplies the hidden units of the blocks' MLPs."""
    is_post_layer_norm: bool = False
    """Whether the blocks normalise after adding, and the encoder not at its end."""
    has_map_head: bool = False
    """Whether attention, instead of the mean, pools the tokens."""

    def __post_init__(self) -> None:
        """Raise PacebenchError where heads, positions or patches do not come out even."""
        if self.width % self.n_heads:
            raise PacebenchError(f"{self.n_heads} heads do not share a width of {self.width}")
        if self.width % 4 or self.width < 8:
            raise PacebenchError(f"the positions need a width of 8, 12, 16, …, not {self.width}")
        if self.n_side % self.patch:
            raise PacebenchError(
                f"patches of {self.patch} pixels do not cover images of {self.n_side}"
            )

    @property
    def n_tokens_per_side(self) -> int:
        """Patches along one side of an image."""
        return self.n_side // self.patch


FULL = Config()
GLU = replace(FULL, is_glu=True)
POST_LN = replace(FULL, is_post_layer_norm=True)
MAP = replace(FULL, has_map_head=True)
# Ours: the same code on 64x64 images, for one CPU core.
MINI = Config(width=64, depth=2, mlp_width=256, n_heads=4, patch=8, n_side=64, n_classes=10)

# AlgoPerf v0.6, both frameworks, by the name of the workload.
N_PARAMETERS = {
    "imagenet_vit": 22_122_472,
    "imagenet_vit_glu": 50_452_456,
    "imagenet_vit_post_ln": 22_121_704,
    "imagenet_vit_map": 23_896_552,
}
OUTPUT_PARAMETERS = {
    "torch": ("head.weight", "head.bias"),
    "jax": ("head/kernel", "head/bias"),
}


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model.

    Flax keeps the heads of an attention apart and torch does not, so whoever carries weights by it
    hands the shapes of the arriving model to `pacebench.backends.carry` too.
    """
    layout = {name: name for name in ("pre_logits", "conv_patch_extract", "head")}
    for i in range(config.depth):
        block, path = f"encoder.net.{i}", f"Transformer/encoderblock_{i}"
        layout[f"{block}.layer_norm0"] = f"{path}/LayerNorm_0"
        layout |= _attention(f"{block}.self_attention1", f"{path}/MultiHeadDotProductAttention_1")
        layout[f"{block}.layer_norm2"] = f"{path}/LayerNorm_2"
        layout |= _mlp(f"{block}.mlp3", f"{path}/MlpBlock_3", config.is_glu)
    if not config.is_post_layer_norm:
        layout["encoder.encoder_norm"] = "Transformer/encoder_layernorm"
    if config.has_map_head:
        layout["map.probe"] = "MAPHead_0/probe"
        layout |= _attention("map.attention", "MAPHead_0/MultiHeadDotProductAttention_0")
        layout["map.layer_norm"] = "MAPHead_0/LayerNorm_0"
        layout |= _mlp("map.mlp", "MAPHead_0/MlpBlock_0", is_glu=False)
    return layout


def positions(n_rows: int, n_columns: int, width: int) -> NDArray[np.float32]:
    """Give the fixed positions [T, D] of the tokens, row after row.

    The four quarters of a row are sin(x ω_k), cos(x ω_k), sin(y ω_k) and cos(y ω_k), with
    ω_k = 10000^(-k / (K - 1)), k = 0 … K - 1 and K = D / 4; x counts columns and y rows.
    Source: AlgoPerf v0.6, `posemb_sincos_2d`, after Chen et al. 2021 (MoCo v3, arXiv:2104.02057).
    """
    n_frequencies = width // 4
    omega_K = LONGEST_WAVE ** (-np.arange(n_frequencies) / (n_frequencies - 1))
    y_T, x_T = np.divmod(np.arange(n_rows * n_columns), n_columns)
    x_TK, y_TK = np.outer(x_T, omega_K), np.outer(y_T, omega_K)
    quarters = [np.sin(x_TK), np.cos(x_TK), np.sin(y_TK), np.cos(y_TK)]
    return np.concatenate(quarters, axis=1).astype(np.float32)


def _attention(module: str, path: str) -> dict[str, str]:
    return {f"{module}.{role}": f"{path}/{role}" for role in ("query", "key", "value", "out")}


def _mlp(module: str, path: str, is_glu: bool) -> dict[str, str]:
    names = ("linear1", "glu_linear", "linear2") if is_glu else ("linear1", "linear2")
    return {f"{module}.{name}": f"{path}/Dense_{i}" for i, name in enumerate(names)}
