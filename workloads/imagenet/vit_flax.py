"""The vision transformers of imagenet_vit and its variants (AlgoPerf v0.6) in flax.

Letters: B batch, H and W the sides, C channels, T tokens, D width.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout
from pacebench.spec import Batch, Mode
from workloads.imagenet.vit import LAYER_NORM_EPSILON, MAP_MODE, MLP_BIAS_STDDEV, positions

XAVIER = nn.initializers.xavier_uniform()


class MlpBlock(nn.Module):
    """Two dense layers; a gate, where there is one, is computed from the activated hidden units."""

    config: Any
    is_glu: bool

    @nn.compact
    def __call__(self, x_BTD: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        config = self.config
        hidden = nn.gelu(self._dense(config.mlp_width, 0)(x_BTD), approximate=True)
        if self.is_glu:
            hidden = hidden * self._dense(config.mlp_width, 1)(hidden)
        hidden = Dropout(config.dropout_rate)(hidden, mode)
        return self._dense(config.width, 2 if self.is_glu else 1)(hidden)

    def _dense(self, n_out: int, number: int) -> nn.Dense:
        bias_init = nn.initializers.normal(MLP_BIAS_STDDEV)
        return nn.Dense(n_out, kernel_init=XAVIER, bias_init=bias_init, name=f"Dense_{number}")


class EncoderBlock(nn.Module):
    """Attention and MLP, each with a residual, normalised before or after.

    AlgoPerf v0.6 cannot build the second order in jax; it is v0.5's, and its torch's.
    """

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        config = self.config
        norm0, norm2 = _layer_norm("LayerNorm_0"), _layer_norm("LayerNorm_2")
        attention = _attention(config, "MultiHeadDotProductAttention_1")
        mlp = MlpBlock(config, is_glu=config.is_glu, name="MlpBlock_3")
        dropout = Dropout(config.dropout_rate)
        if config.is_post_layer_norm:
            x_BTD = norm0(x_BTD + dropout(attention(x_BTD), mode))
            return norm2(x_BTD + dropout(mlp(x_BTD, mode), mode))
        x_BTD = x_BTD + dropout(attention(norm0(x_BTD)), mode)
        return x_BTD + dropout(mlp(norm2(x_BTD), mode), mode)


class Encoder(nn.Module):
    """The blocks, and a layer norm at the end where they do not end in one."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        for i in range(self.config.depth):
            x_BTD = EncoderBlock(self.config, name=f"encoderblock_{i}")(x_BTD, mode)
        if self.config.is_post_layer_norm:
            return x_BTD
        return _layer_norm("encoder_layernorm")(x_BTD)


class MapHead(nn.Module):
    """Pooling by attention: one learned probe asks all tokens. Nothing is dropped in here."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """Give [B, D]."""
        n_examples, _, width = x_BTD.shape
        probe_11D = self.param("probe", XAVIER, (1, 1, width))
        probe_B1D = jnp.broadcast_to(probe_11D, (n_examples, 1, width))
        z_B1D = _attention(self.config, "MultiHeadDotProductAttention_0")(probe_B1D, x_BTD)
        mlp = MlpBlock(self.config, is_glu=False, name="MlpBlock_0")
        z_B1D = z_B1D + mlp(_layer_norm("LayerNorm_0")(z_B1D), MAP_MODE)
        return z_B1D[:, 0]


class VisionTransformer(nn.Module):
    """Patches, positions, encoder, pooling, a tanh layer, the output layer; [B, n_classes]."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the logits of `inputs` [B, H, W, 3], float32, normalised."""
        config = self.config
        sides = (config.patch, config.patch)
        conv = nn.Conv(config.width, sides, sides, padding="VALID", name="conv_patch_extract")
        x_BHWD = conv(batch["inputs"])
        n_examples, n_rows, n_columns, width = x_BHWD.shape
        x_BTD = x_BHWD.reshape(n_examples, n_rows * n_columns, width)
        x_BTD = x_BTD + jnp.asarray(positions(n_rows, n_columns, width))[None]
        x_BTD = Dropout(config.dropout_rate)(x_BTD, mode)
        x_BTD = Encoder(config, name="Transformer")(x_BTD, mode)
        x_BD = MapHead(config, name="MAPHead_0")(x_BTD) if config.has_map_head else x_BTD.mean(1)
        x_BD = jnp.tanh(nn.Dense(width, name="pre_logits")(x_BD))
        zeros = nn.initializers.zeros
        return nn.Dense(config.n_classes, kernel_init=zeros, name="head")(x_BD)


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return VisionTransformer(config)


def _layer_norm(name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name=name)


def _attention(config: Any, name: str) -> nn.MultiHeadDotProductAttention:
    """Attention of several heads; the kernels start Xavier uniform, the biases at 0."""
    return nn.MultiHeadDotProductAttention(config.n_heads, kernel_init=XAVIER, name=name)
