"""The U-Net (Ronneberger et al. 2015, as in fastMRI's baselines) in flax.

Letters: B batch, H and W the sides, C channels (I in, O out), K and L the sides of a kernel.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.backends.layers_flax import drops_nothing
from pacebench.spec import Batch, Mode
from workloads.fastmri.unet import (
    INSTANCE_NORM_EPSILON,
    LAYER_NORM_EPSILON,
    LEAKY_SLOPE,
    Config,
)


def activate(x_BHWC: jax.Array, config: Config) -> jax.Array:
    """Apply the model's activation."""
    if config.activation == "tanh":
        return jnp.tanh(x_BHWC)
    return nn.leaky_relu(x_BHWC, LEAKY_SLOPE)


def instance_norm(x_BHWC: jax.Array) -> jax.Array:
    """Normalise every channel of every example by its own moments (variance biased)."""
    mean = x_BHWC.mean((1, 2), keepdims=True)
    variance = jnp.maximum(0.0, (x_BHWC * x_BHWC).mean((1, 2), keepdims=True) - mean * mean)
    return (x_BHWC - mean) * jax.lax.rsqrt(variance + INSTANCE_NORM_EPSILON)


class ChannelDropout(nn.Module):
    """Dropout of whole channels; its rate is the mode's, or `default_rate` where that is None."""

    default_rate: float

    @nn.compact
    def __call__(self, x_BHWC: jax.Array, mode: Mode) -> jax.Array:
        """Drop and rescale in training; rate 0 draws nothing."""
        rate = self.default_rate if mode.dropout_rate is None else mode.dropout_rate
        if drops_nothing(rate, mode):
            return x_BHWC
        shape = (x_BHWC.shape[0], 1, 1, x_BHWC.shape[-1])
        keep = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - rate, shape)
        return jnp.where(keep, x_BHWC / (1.0 - rate), 0.0)


class ConvBlock(nn.Module):
    """Twice: 3x3 convolution, norm, activation, dropout of whole channels."""

    width: int
    config: Config

    @nn.compact
    def __call__(self, x_BHWC: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, H, W, width]."""
        for _ in range(2):
            x_BHWC = nn.Conv(self.width, (3, 3), use_bias=False)(x_BHWC)
            if self.config.has_layer_norm:
                # Over channels and pixels of an example, with a scale per channel.
                norm = nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, reduction_axes=(1, 2, 3))
                x_BHWC = norm(x_BHWC)
            else:
                x_BHWC = instance_norm(x_BHWC)
            x_BHWC = activate(x_BHWC, self.config)
            x_BHWC = ChannelDropout(self.config.dropout_rate)(x_BHWC, mode)
        return x_BHWC


class ConvTranspose(nn.Module):
    """A transposed 2x2 convolution with stride 2 and no bias.

    No two windows overlap, so it is one matrix product for each place of the kernel, which runs
    faster than a convolution of a widened image. The kernel lies as in `flax.linen.ConvTranspose`:
    its last row and column give the first of every two.
    """

    width: int

    @nn.compact
    def __call__(self, x_BHWI: jax.Array) -> jax.Array:
        """Give [B, 2 H, 2 W, width]."""
        n_examples, n_rows, n_columns, n_in = x_BHWI.shape
        init = nn.initializers.lecun_normal()
        kernel_KLIO = self.param("kernel", init, (2, 2, n_in, self.width))
        y = jnp.einsum("bhwi,klio->bhkwlo", x_BHWI, kernel_KLIO[::-1, ::-1])
        return y.reshape(n_examples, 2 * n_rows, 2 * n_columns, self.width)


class TransposeConvBlock(nn.Module):
    """Transposed 2x2 convolution with stride 2, instance norm, activation."""

    width: int
    config: Config

    @nn.compact
    def __call__(self, x_BHWC: jax.Array) -> jax.Array:
        """Give [B, 2 H, 2 W, width]."""
        return activate(instance_norm(ConvTranspose(self.width)(x_BHWC)), self.config)


class UNet(nn.Module):
    """Blocks down to the bottom and up again, joined level by level; an image [B, H, W]."""

    config: Config

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the image [B, H, W] that belongs to `inputs` [B, H, W], both normalised."""
        config = self.config
        x_BHWC = batch["inputs"][..., None]
        skips = []
        for width in config.widths:
            x_BHWC = ConvBlock(width, config)(x_BHWC, mode)
            skips.append(x_BHWC)
            x_BHWC = nn.avg_pool(x_BHWC, (2, 2), (2, 2))
        x_BHWC = ConvBlock(2 * config.widths[-1], config)(x_BHWC, mode)
        for width in reversed(config.widths):
            skip_BHWC = skips.pop()
            x_BHWC = _padded(TransposeConvBlock(width, config)(x_BHWC), skip_BHWC)
            x_BHWC = ConvBlock(width, config)(jnp.concatenate([x_BHWC, skip_BHWC], -1), mode)
        return nn.Conv(1, (1, 1))(x_BHWC)[..., 0]


def _padded(x_BHWC: jax.Array, skip_BHWC: jax.Array) -> jax.Array:
    """Reflect at the bottom and the right, by what pooling an odd side took off."""
    n_rows = skip_BHWC.shape[1] - x_BHWC.shape[1]
    n_columns = skip_BHWC.shape[2] - x_BHWC.shape[2]
    if n_rows == n_columns == 0:
        return x_BHWC
    return jnp.pad(x_BHWC, ((0, 0), (0, n_rows), (0, n_columns), (0, 0)), "reflect")


def build(config: Config) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return UNet(config)
