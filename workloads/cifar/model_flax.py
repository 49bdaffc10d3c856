"""ResNet-18 for CIFAR (He et al. 2015, with 3x3 input convolution) in flax.

Letters: B batch, H and W the sides, C channels.
"""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from pacebench.backends.layers_flax import BatchNorm
from pacebench.spec import Batch, Mode

OUTPUT_STDDEV = 0.01  # AlgoPerf v0.6, cifar: the output layer's weights are N(0, 0.01²)


class ResNetBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them; the last scale starts at 0."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x_BHWC: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, H/stride, W/stride, width]."""
        shortcut = x_BHWC
        strides = (self.stride, self.stride)
        y = nn.Conv(self.width, (3, 3), strides, use_bias=False, name="Conv_0")(x_BHWC)
        y = nn.relu(BatchNorm(name="BatchNorm_0")(y, mode))
        y = nn.Conv(self.width, (3, 3), use_bias=False, name="Conv_1")(y)
        y = BatchNorm(scale_init=nn.initializers.zeros, name="BatchNorm_1")(y, mode)
        if shortcut.shape != y.shape:
            shortcut = nn.Conv(self.width, (1, 1), strides, use_bias=False, name="Conv_proj")(
                shortcut
            )
            shortcut = BatchNorm(name="BatchNorm_proj")(shortcut, mode)
        return nn.relu(shortcut + y)


class ResNet(nn.Module):
    """Stages of blocks, the mean over the image, one dense layer; logits [B, n_classes]."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the logits of `inputs` [B, H, W, 3]."""
        config = self.config
        x = nn.Conv(config.widths[0], (3, 3), use_bias=False, name="Conv_init")(batch["inputs"])
        x = nn.relu(BatchNorm(name="BatchNorm_init")(x, mode))
        for stage, (width, n_blocks) in enumerate(zip(config.widths, config.n_blocks, strict=True)):
            for block in range(n_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                x = ResNetBlock(width, stride)(x, mode)
        init = nn.initializers.normal(OUTPUT_STDDEV)
        return nn.Dense(config.n_classes, kernel_init=init)(x.mean((1, 2)))


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return ResNet(config)
