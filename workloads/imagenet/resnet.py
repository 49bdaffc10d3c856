"""The ResNet-50 of imagenet_resnet and its variants: sizes, names and the layout between models.

Source of every number: AlgoPerf v0.6, imagenet_resnet (both frameworks unless one is named).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

EXPANSION = 4  # a bottleneck block gives four times its inner width
STEM_SIZE = 7  # the first convolution: 7x7, stride 2, 3 pixels of padding on every side
STEM_PADDING = 3
POOL_SIZE = 3  # the max-pool behind it: 3x3, stride 2, 1 pixel of padding on every side
POOL_PADDING = 1
OUTPUT_STDDEV = 0.01  # the output layer's weights are N(0, 0.01²), not cut


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A ResNet of bottleneck blocks; stages after the first halve the sides of the image."""

    n_blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Inner widths by stage; the first is the stem's too."""
    n_classes: int = 1000
    activation: Literal["relu", "silu", "gelu"] = "relu"
    """For every activation of the model; gelu is the tanh approximation."""
    bn_init_scale: float = 0.0
    """Initial scale of the last batch norm of each block; all others start at 1."""
    n_side: int = 224
    """Side of the images; the models take any."""


FULL = Config()
SILU = replace(FULL, activation="silu")
GELU = replace(FULL, activation="gelu")
LARGE_BN_INIT = replace(FULL, bn_init_scale=8.0)
# Ours: every kind of block (with and without projection, with and without stride) on 64x64 images,
# which the last stage sees as 2x2.
MINI = Config(n_blocks=(1, 2, 1, 1), widths=(8, 16, 32, 64), n_classes=10, n_side=64)

N_PARAMETERS = 25_557_032  # of FULL and its variants, in both frameworks
OUTPUT_PARAMETERS = {
    "torch": ("fc.weight", "fc.bias"),
    "jax": ("Dense_0/kernel", "Dense_0/bias"),
}


def strides_and_widths(config: Config) -> list[list[tuple[int, int]]]:
    """Give (stride, inner width) of every block, by stage."""
    return [
        [(2 if stage > 0 and block == 0 else 1, width) for block in range(n_blocks)]
        for stage, (width, n_blocks) in enumerate(zip(config.widths, config.n_blocks, strict=True))
    ]


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model: torch counts blocks by stage, flax through all stages."""
    layout = {"conv1": "Conv_init", "bn1": "BatchNorm_init"}
    n_before = 0
    for stage, n_blocks in enumerate(config.n_blocks):
        for block in range(n_blocks):
            torch_name = f"layer{stage + 1}.{block}"
            flax_name = f"BottleneckResNetBlock_{n_before + block}"
            for i in range(3):
                layout[f"{torch_name}.conv{i + 1}"] = f"{flax_name}/Conv_{i}"
                layout[f"{torch_name}.bn{i + 1}"] = f"{flax_name}/BatchNorm_{i}"
            if block == 0:
                layout[f"{torch_name}.downsample.conv"] = f"{flax_name}/Conv_proj"
                layout[f"{torch_name}.downsample.bn"] = f"{flax_name}/BatchNorm_proj"
        n_before += n_blocks
    return layout | {"fc": "Dense_0"}
