"""ResNet-18 for CIFAR (He et al. 2015, with 3x3 input convolution) in torch.

Letters: B batch, C channels, H and W the sides.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pacebench.backends.layers_torch import BatchNorm, SameConv2d
from pacebench.spec import Batch, Mode

OUTPUT_STDDEV = 0.01  # AlgoPerf v0.6, cifar: the output layer's weights are N(0, 0.01²)


class Downsample(nn.Module):
    """The shortcut of a block whose output has another shape."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv = SameConv2d(n_in, n_out, 1, stride)
        self.bn = BatchNorm(n_out)

    def forward(self, x_BCHW: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, n_out, H/stride, W/stride]."""
        return self.bn(self.conv(x_BCHW), mode)


class ResNetBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them; the last scale starts at 0."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = SameConv2d(n_in, n_out, 3, stride)
        self.bn1 = BatchNorm(n_out)
        self.conv2 = SameConv2d(n_out, n_out, 3)
        self.bn2 = BatchNorm(n_out)
        nn.init.zeros_(self.bn2.weight)
        is_reshaped = stride != 1 or n_in != n_out
        self.downsample = Downsample(n_in, n_out, stride) if is_reshaped else None

    def forward(self, x_BCHW: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, n_out, H/stride, W/stride]."""
        y = self.bn1(self.conv1(x_BCHW), mode).relu()
        y = self.bn2(self.conv2(y), mode)
        shortcut = x_BCHW if self.downsample is None else self.downsample(x_BCHW, mode)
        return (shortcut + y).relu()


class ResNet(nn.Module):
    """Stages of blocks, the mean over the image, one dense layer; logits [B, n_classes]."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        n_in = config.widths[0]
        self.conv1 = SameConv2d(3, n_in, 3)
        self.bn1 = BatchNorm(n_in)
        for stage, (width, n_blocks) in enumerate(zip(config.widths, config.n_blocks, strict=True)):
            blocks = nn.ModuleList()
            for block in range(n_blocks):
                blocks.append(ResNetBlock(n_in, width, 2 if stage > 0 and block == 0 else 1))
                n_in = width
            self.add_module(f"layer{stage + 1}", blocks)
        self.fc = nn.Linear(n_in, config.n_classes)
        nn.init.normal_(self.fc.weight, std=OUTPUT_STDDEV)
        nn.init.zeros_(self.fc.bias)
        self.n_stages = len(config.widths)

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the logits of `inputs` [B, H, W, 3]."""
        x_BCHW = batch["inputs"].permute(0, 3, 1, 2)
        x_BCHW = self.bn1(self.conv1(x_BCHW), mode).relu()
        for stage in range(self.n_stages):
            for block in self.get_submodule(f"layer{stage + 1}"):
                x_BCHW = block(x_BCHW, mode)
        return self.fc(x_BCHW.mean((2, 3)))


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return ResNet(config)
