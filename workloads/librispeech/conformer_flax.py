"""The Conformers of librispeech_conformer and its variants (AlgoPerf v0.6) in flax.

Letters: B batch, T positions, U positions attended to, D width, N heads, E width of a head, C
classes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout, MaskedBatchNorm
from pacebench.spec import Batch, Mode
from workloads.librispeech.conformer import FEED_FORWARD_SHARE, QUERY_FACTOR
from workloads.librispeech.layers_flax import (
    ACTIVATIONS,
    XAVIER,
    Features,
    LayerNorm,
    Subsample,
    xavier_dense,
)
from workloads.librispeech.shapes import BATCH_NORM_EPSILON, positions


class FeedForward(nn.Module):
    """Layer norm and two dense layers; the units between them drop too."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, mask_BT1: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D], 0 at padding."""
        config = self.config
        dropout = Dropout(config.dropout_rate)
        y_BTD = LayerNorm(name="LayerNorm_0")(x_BTD)
        hidden = xavier_dense(config.width * config.feed_forward_expansion, "Dense_0")(y_BTD)
        hidden = dropout(ACTIVATIONS[config.activation](hidden), mode)
        return dropout(xavier_dense(config.width, "Dense_1")(hidden * mask_BT1) * mask_BT1, mode)


class QueryScaler(nn.Module):
    """One factor per unit of a head, shared by the heads."""

    @nn.compact
    def __call__(self, q_BTNE: jax.Array) -> jax.Array:
        """Multiply by softplus(scale) / softplus(0)."""
        scale_E = self.param("scale", nn.initializers.zeros, (q_BTNE.shape[-1],))
        return q_BTNE * (QUERY_FACTOR * nn.softplus(scale_E)).reshape(1, 1, 1, -1)


class Attention(nn.Module):
    """Attention of several heads with scaled queries; padding is not looked at."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, bias_B11T: jax.Array) -> jax.Array:
        """Give [B, T, D]; `bias_B11T` is added to the logits."""
        config = self.config
        heads = (config.n_heads, config.width // config.n_heads)
        q_BTNE, k_BUNE, v_BUNE = (
            nn.DenseGeneral(heads, kernel_init=XAVIER, name=name)(x_BTD)
            for name in ("query", "key", "value")
        )
        q_BTNE = QueryScaler(name="QueryScaler_0")(q_BTNE) * heads[1] ** -0.5
        logits_BNTU = jnp.einsum("btne,bune->bntu", q_BTNE, k_BUNE) + bias_B11T
        y_BTNE = jnp.einsum("bntu,bune->btne", jax.nn.softmax(logits_BNTU), v_BUNE)
        y_BTNE = y_BTNE * config.attention_temperature
        return nn.DenseGeneral(config.width, axis=(-2, -1), kernel_init=XAVIER, name="out")(y_BTNE)


class SelfAttention(nn.Module):
    """Layer norm and attention."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, bias_B11T: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        attention = Attention(self.config, name="MultiHeadDotProductAttention_0")
        y_BTD = attention(LayerNorm(name="LayerNorm_0")(x_BTD), bias_B11T)
        return Dropout(self.config.dropout_rate)(y_BTD, mode)


class DepthwiseConv(nn.Module):
    """A convolution over time of every channel by itself, "SAME", without bias.

    It is a sum of shifted products, which XLA fuses; its own grouped convolution is slow on a CPU.
    """

    size: int

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """Give [B, T, D]."""
        _, n_positions, width = x_BTD.shape
        kernel = self.param("kernel", XAVIER, (self.size, 1, width))
        half = self.size // 2
        padded = jnp.pad(x_BTD, ((0, 0), (half, half), (0, 0)))
        shifted = [padded[:, i : i + n_positions] * kernel[None, i] for i in range(self.size)]
        return sum(shifted[1:], start=shifted[0])


class Convolution(nn.Module):
    """A gate, a depthwise convolution over time, batch norm, and a dense layer."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, paddings_BT: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        config = self.config
        y_BTD = LayerNorm(name="LayerNorm_0")(x_BTD)
        gate_BTD = nn.sigmoid(xavier_dense(config.width, "Dense_1")(y_BTD))
        y_BTD = xavier_dense(config.width, "Dense_0")(y_BTD) * gate_BTD
        y_BTD = DepthwiseConv(config.kernel_size, name="Conv_0")(
            y_BTD * (1 - paddings_BT)[..., None]
        )
        norm = MaskedBatchNorm(BATCH_NORM_EPSILON, config.batch_norm_decay, name="BatchNorm_0")
        y_BTD = ACTIVATIONS[config.activation](norm(y_BTD, paddings_BT, mode))
        return Dropout(config.dropout_rate)(xavier_dense(config.width, "Dense_2")(y_BTD), mode)


class ConformerBlock(nn.Module):
    """Half a feed-forward module, attention, convolution, the other half; each with a residual."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, paddings_BT: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        config = self.config
        mask_BT1 = (1 - paddings_BT)[..., None]
        # Finite, so that an example of padding alone attends to all of it, and gives no NaN.
        bias_B11T = paddings_BT[:, None, None] * jnp.finfo(x_BTD.dtype).min
        half1, half2 = (FeedForward(config, name=f"FeedForwardModule_{i}") for i in range(2))
        attention = SelfAttention(config, name="MultiHeadedSelfAttention_0")
        convolution = Convolution(config, name="ConvolutionBlock_0")
        x_BTD = x_BTD + FEED_FORWARD_SHARE * half1(x_BTD, mask_BT1, mode)
        x_BTD = x_BTD + attention(x_BTD, bias_B11T, mode)
        x_BTD = x_BTD + convolution(x_BTD, paddings_BT, mode)
        x_BTD = x_BTD + FEED_FORWARD_SHARE * half2(x_BTD, mask_BT1, mode)
        return LayerNorm(name="LayerNorm_0")(x_BTD) if config.has_post_norm else x_BTD


class Conformer(nn.Module):
    """Features, subsampling, positions, blocks, layer norm, the output layer."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> tuple[jax.Array, jax.Array]:
        """Give logits [B, T, C] and paddings [B, T] of `inputs`, waveforms and paddings."""
        config = self.config
        features_BFM, paddings_BF = Features(config)(batch, mode)
        subsample = Subsample(config, "relu", name="Subsample_0")
        x_BTD, paddings_BT = subsample(features_BFM, paddings_BF)
        x_BTD += config.position_scale * jnp.asarray(positions(*x_BTD.shape[1:]))[None]
        x_BTD = Dropout(config.dropout_rate)(x_BTD, mode)
        for i in range(config.n_blocks):
            x_BTD = ConformerBlock(config, name=f"ConformerBlock_{i}")(x_BTD, paddings_BT, mode)
        x_BTD = LayerNorm(name="LayerNorm_0")(x_BTD)
        return xavier_dense(config.vocabulary_size, "Dense_0")(x_BTD), paddings_BT


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return Conformer(config)
