"""ResNet-50 (He et al. 2015, with the stride on the 3x3 convolution) in torch.

Letters: B batch, C channels, H and W the sides. Padding is AlgoPerf's jax's, as in `resnet_flax`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import BatchNorm, SameConv2d, lecun_normal_
from pacebench.spec import Batch, Mode
from workloads.imagenet.resnet import (
    EXPANSION,
    OUTPUT_STDDEV,
    POOL_PADDING,
    POOL_SIZE,
    STEM_PADDING,
    STEM_SIZE,
    Config,
    strides_and_widths,
)

Activation = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS: dict[str, Activation] = {
    "relu": functional.relu,
    "silu": functional.silu,
    "gelu": partial(functional.gelu, approximate="tanh"),
}


class Downsample(nn.Module):
    """The shortcut of a block whose output has another shape."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv = SameConv2d(n_in, n_out, 1, stride)
        self.bn = BatchNorm(n_out)

    def forward(self, x_BCHW: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, n_out, H/stride, W/stride]."""
        return self.bn(self.conv(x_BCHW), mode)


class BottleneckBlock(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 with a shortcut around them; four times the width comes out."""

    def __init__(self, n_in: int, width: int, stride: int, config: Config) -> None:
        super().__init__()
        n_out = EXPANSION * width
        self.conv1 = SameConv2d(n_in, width, 1)
        self.bn1 = BatchNorm(width)
        self.conv2 = SameConv2d(width, width, 3, stride)
        self.bn2 = BatchNorm(width)
        self.conv3 = SameConv2d(width, n_out, 1)
        self.bn3 = BatchNorm(n_out)
        nn.init.constant_(self.bn3.weight, config.bn_init_scale)
        is_reshaped = stride != 1 or n_in != n_out
        self.downsample = Downsample(n_in, n_out, stride) if is_reshaped else None
        self.activate = ACTIVATIONS[config.activation]

    def forward(self, x_BCHW: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, 4 · width, H/stride, W/stride]."""
        y = self.activate(self.bn1(self.conv1(x_BCHW), mode))
        y = self.activate(self.bn2(self.conv2(y), mode))
        y = self.bn3(self.conv3(y), mode)
        shortcut = x_BCHW if self.downsample is None else self.downsample(x_BCHW, mode)
        return self.activate(shortcut + y)


class ResNet(nn.Module):
    """Stem, stages of blocks, the mean over the image, one dense layer; logits [B, n_classes]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n_in = config.widths[0]
        self.conv1 = nn.Conv2d(3, n_in, STEM_SIZE, 2, STEM_PADDING, bias=False)
        lecun_normal_(self.conv1.weight, 3 * STEM_SIZE**2)
        self.bn1 = BatchNorm(n_in)
        self.activate = ACTIVATIONS[config.activation]
        for stage, blocks_of_stage in enumerate(strides_and_widths(config)):
            blocks = nn.ModuleList()
            for stride, width in blocks_of_stage:
                blocks.append(BottleneckBlock(n_in, width, stride, config))
                n_in = EXPANSION * width
            self.add_module(f"layer{stage + 1}", blocks)
        self.fc = nn.Linear(n_in, config.n_classes)
        nn.init.normal_(self.fc.weight, std=OUTPUT_STDDEV)
        nn.init.zeros_(self.fc.bias)
        self.n_stages = len(config.widths)

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the logits of `inputs` [B, H, W, 3], float32 and normalised."""
        x_BCHW = batch["inputs"].permute(0, 3, 1, 2)
        x_BCHW = self.activate(self.bn1(self.conv1(x_BCHW), mode))
        x_BCHW = pool(x_BCHW)
        for stage in range(self.n_stages):
            for block in self.get_submodule(f"layer{stage + 1}"):
                x_BCHW = block(x_BCHW, mode)
        return self.fc(x_BCHW.mean((2, 3)))


def pool(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Give the largest value of every second 3x3 window, [B, C, ceil(H / 2), ceil(W / 2)]."""
    return functional.max_pool2d(x_BCHW, POOL_SIZE, 2, POOL_PADDING)


def build(config: Config) -> nn.Module:
    """Build the model with torch's current random state."""
    return ResNet(config)
