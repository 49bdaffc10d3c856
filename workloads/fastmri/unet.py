"""The U-Net of fastmri and its variants: sizes, names and the layout between models.

Source of every number: AlgoPerf v0.6, fastmri (both frameworks unless one is named).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

LEAKY_SLOPE = 0.2
INSTANCE_NORM_EPSILON = 1e-5
LAYER_NORM_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A U-Net whose widths double with every pooling and halve on the way up."""

    n_pools: int = 4
    width: int = 32
    """Channels of the first block."""
    activation: Literal["leaky_relu", "tanh"] = "leaky_relu"
    has_layer_norm: bool = False
    """Layer norm with scale and bias in the blocks, instead of instance norm without."""
    dropout_rate: float = 0.0
    """Default probability of dropping a channel."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the blocks on the way down; the bottom block has twice the last."""
        return tuple(self.width * 2**level for level in range(self.n_pools))


FULL = Config()
MODEL_SIZE = replace(FULL, n_pools=3, width=64)
TANH = replace(FULL, activation="tanh")
LAYERNORM = replace(FULL, has_layer_norm=True)
# Ours: two poolings, so that every kind of block and both kinds of skip are there.
MINI = Config(n_pools=2, width=16)

N_PARAMETERS = {
    "fastmri": 7_756_097,
    "fastmri_model_size": 7_692_929,
    "fastmri_tanh": 7_756_097,
    "fastmri_layernorm": 7_761_985,
}


def output_parameters(config: Config) -> dict[str, tuple[str, ...]]:
    """Give the names of the 1x1 convolution at the end, by framework."""
    last = f"up_conv.{config.n_pools - 1}.1"
    return {
        "torch": (f"{last}.weight", f"{last}.bias"),
        "jax": ("Conv_0/kernel", "Conv_0/bias"),
    }


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model: flax counts the blocks from the first down to the last up."""
    n = config.n_pools
    blocks = [f"down_sample_layers.{i}" for i in range(n)] + ["conv"]
    blocks += [f"up_conv.{i}" for i in range(n - 1)] + [f"up_conv.{n - 1}.0"]
    layout = {}
    for number, block in enumerate(blocks):
        for i, position in enumerate(("0", "4")):
            layout[f"{block}.conv_layers.{position}"] = f"ConvBlock_{number}/Conv_{i}"
            if config.has_layer_norm:
                layout[f"{block}.conv_layers.norm_{i}"] = f"ConvBlock_{number}/LayerNorm_{i}"
    for i in range(n):
        layout[f"up_transpose_conv.{i}.layers.0"] = f"TransposeConvBlock_{i}/ConvTranspose_0"
    return layout | {f"up_conv.{n - 1}.1": "Conv_0"}
