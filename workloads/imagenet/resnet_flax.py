"""ResNet-50 (He et al. 2015, with the stride on the 3x3 convolution) in flax.

Letters: B batch, H and W the sides, C channels. Convolutions pad "SAME", as AlgoPerf's jax does:
with stride 2 the 3x3 ones see no padding before and one pixel after (on even sides).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
from flax import linen as nn

from pacebench.backends.layers_flax import BatchNorm
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

Activation = Callable[[jax.Array], jax.Array]
ACTIVATIONS: dict[str, Activation] = {
    "relu": nn.relu,
    "silu": nn.silu,
    "gelu": partial(nn.gelu, approximate=True),
}


class BottleneckResNetBlock(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 with a shortcut around them; four times the width comes out."""

    width: int
    stride: int
    config: Config

    @nn.compact
    def __call__(self, x_BHWC: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, H/stride, W/stride, 4 · width]."""
        activate = ACTIVATIONS[self.config.activation]
        n_out = EXPANSION * self.width
        strides = (self.stride, self.stride)
        y = nn.Conv(self.width, (1, 1), use_bias=False, name="Conv_0")(x_BHWC)
        y = activate(BatchNorm(name="BatchNorm_0")(y, mode))
        y = nn.Conv(self.width, (3, 3), strides, use_bias=False, name="Conv_1")(y)
        y = activate(BatchNorm(name="BatchNorm_1")(y, mode))
        y = nn.Conv(n_out, (1, 1), use_bias=False, name="Conv_2")(y)
        scale_init = nn.initializers.constant(self.config.bn_init_scale)
        y = BatchNorm(scale_init=scale_init, name="BatchNorm_2")(y, mode)
        shortcut = x_BHWC
        if self.stride != 1 or x_BHWC.shape[-1] != n_out:
            shortcut = nn.Conv(n_out, (1, 1), strides, use_bias=False, name="Conv_proj")(x_BHWC)
            shortcut = BatchNorm(name="BatchNorm_proj")(shortcut, mode)
        return activate(shortcut + y)


class ResNet(nn.Module):
    """Stem, stages of blocks, the mean over the image, one dense layer; logits [B, n_classes]."""

    config: Config

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the logits of `inputs` [B, H, W, 3], float32 and normalised."""
        config = self.config
        x = nn.Conv(
            config.widths[0],
            (STEM_SIZE, STEM_SIZE),
            (2, 2),
            padding=STEM_PADDING,
            use_bias=False,
            name="Conv_init",
        )(batch["inputs"])
        x = BatchNorm(name="BatchNorm_init")(x, mode)
        x = pool(ACTIVATIONS[config.activation](x))
        for blocks_of_stage in strides_and_widths(config):
            for stride, width in blocks_of_stage:
                x = BottleneckResNetBlock(width, stride, config)(x, mode)
        init = nn.initializers.normal(OUTPUT_STDDEV)
        return nn.Dense(config.n_classes, kernel_init=init)(x.mean((1, 2)))


def pool(x_BHWC: jax.Array) -> jax.Array:
    """Give the largest value of every second 3x3 window, [B, ceil(H / 2), ceil(W / 2), C]."""
    padding = ((POOL_PADDING, POOL_PADDING),) * 2
    return nn.max_pool(x_BHWC, (POOL_SIZE, POOL_SIZE), (2, 2), padding)


def build(config: Config) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return ResNet(config)
