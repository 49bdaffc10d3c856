"""Layers that the Conformer and DeepSpeech share, in flax (AlgoPerf v0.6).

Letters: B batch, S samples, F frames, M mel bins, C channels, P values of a patch, T positions, D
width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.spec import Batch, Mode
from workloads.librispeech.features_flax import log_mel
from workloads.librispeech.shapes import (
    LAYER_NORM_EPSILON,
    SUBSAMPLING_KERNEL,
    check_length,
    same_padding,
)
from workloads.librispeech.spec_augment_flax import augment

XAVIER = nn.initializers.xavier_uniform()
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "swish": nn.swish,
    "gelu": partial(nn.gelu, approximate=True),
}

MANY_CHANNELS = 128
"""From here on patches beat XLA's convolution on a CPU; with 64 they do not."""


class LayerNorm(nn.Module):
    """Layer norm whose `scale` is the scale's distance from 1."""

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """Normalise the last axis."""
        width = x_BTD.shape[-1]
        scale_D = self.param("scale", nn.initializers.zeros, (width,))
        bias_D = self.param("bias", nn.initializers.zeros, (width,))
        centred_BTD = x_BTD - x_BTD.mean(-1, keepdims=True)
        var_BT1 = (centred_BTD * centred_BTD).mean(-1, keepdims=True)
        normalised_BTD = centred_BTD * jax.lax.rsqrt(var_BT1 + LAYER_NORM_EPSILON)
        return normalised_BTD * (1 + scale_D).reshape(1, 1, -1) + bias_D.reshape(1, 1, -1)


class Conv2dSubsampling(nn.Module):
    """A convolution that pads as TensorFlow's "SAME", an activation, and 0 at padding."""

    n_out: int
    stride: int
    activation: str

    @nn.compact
    def __call__(self, x_BFMC: jax.Array, paddings_BF: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Give [B, F', M', C] and the paddings of every stride-th frame."""
        sides = (SUBSAMPLING_KERNEL, SUBSAMPLING_KERNEL)
        kernel = self.param("kernel", XAVIER, (*sides, x_BFMC.shape[-1], self.n_out))
        bias_C = self.param("bias", nn.initializers.zeros, (self.n_out,))
        x_BFMC = _convolved(x_BFMC, kernel, self.stride) + bias_C.reshape(1, 1, 1, -1)
        paddings_BF = paddings_BF[:, :: self.stride]
        x_BFMC = ACTIVATIONS[self.activation](x_BFMC)
        return x_BFMC * (1 - paddings_BF)[:, :, None, None], paddings_BF


class Subsample(nn.Module):
    """Two convolutions over time and frequency and a dense layer: features to positions."""

    config: Any
    activation: str

    @nn.compact
    def __call__(
        self, features_BFM: jax.Array, paddings_BF: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Give [B, T, D] and paddings [B, T]."""
        width = self.config.width
        x, paddings = features_BFM[..., None], paddings_BF
        for i, stride in enumerate(self.config.strides):
            conv = Conv2dSubsampling(width, stride, self.activation, name=f"Conv2dSubsampling_{i}")
            x, paddings = conv(x, paddings)
        # Of mel bin and channel, the channel runs faster.
        flat = x.reshape(*x.shape[:2], -1)
        return xavier_dense(width, "Dense_0")(flat), paddings


class Features(nn.Module):
    """Log-mel features, with stripes hidden in training where the configuration has SpecAugment."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> tuple[jax.Array, jax.Array]:
        """Give [B, F, M] of `inputs`, waveforms and paddings [B, S], and paddings [B, F]."""
        waveform_BS, paddings_BS = batch["inputs"]
        check_length(waveform_BS.shape[1], self.config.n_samples)
        features_BFM, paddings_BF = log_mel(waveform_BS, paddings_BS)
        if mode.train and self.config.spec_augment is not None:
            key = self.make_rng("dropout")
            features_BFM = augment(features_BFM, paddings_BF, self.config.spec_augment, key)
        return features_BFM, paddings_BF


def xavier_dense(n_out: int, name: str) -> nn.Dense:
    """Give a dense layer whose kernel starts Xavier uniform and whose bias starts at 0."""
    return nn.Dense(n_out, kernel_init=XAVIER, name=name)


def _convolved(x_BFMC: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolve, padding as "SAME".

    With many channels on a CPU as one product with patches for every row of the kernel: XLA's own
    convolution takes 1.8 times as long there (jax 0.10, 512 channels, with gradients).
    """
    paddings = [same_padding(n, stride) for n in x_BFMC.shape[1:3]]
    if jax.default_backend() != "cpu" or x_BFMC.shape[-1] < MANY_CHANNELS:
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x_BFMC, kernel, (stride, stride), paddings, dimension_numbers=dimensions
        )
    n_frames, n_mels = (-(-n // stride) for n in x_BFMC.shape[1:3])
    padded = jnp.pad(x_BFMC, ((0, 0), *paddings, (0, 0)))
    products = []
    for i in range(SUBSAMPLING_KERNEL):
        row_BFMC = padded[:, i : i + (n_frames - 1) * stride + 1 : stride]
        starts = range(SUBSAMPLING_KERNEL)
        shifted = [row_BFMC[:, :, j : j + (n_mels - 1) * stride + 1 : stride] for j in starts]
        patches_BFMP = jnp.concatenate(shifted, axis=-1)
        products.append(patches_BFMP @ kernel[i].reshape(-1, kernel.shape[-1]))
    return sum(products[1:], start=products[0])
