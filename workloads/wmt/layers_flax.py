"""Attention, MLP and the two kinds of layer of wmt's transformers in flax.

Letters: B batch, L positions, Q queries, T keys, D width, N heads, E width of a head, K beams,
P positions of a cache.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout
from pacebench.spec import Mode
from workloads.wmt.transformer import LAYER_NORM_EPSILON, MASKED_SCORE, MLP_BIAS_STDDEV

XAVIER = nn.initializers.xavier_uniform()
KeysValues = tuple[jax.Array, jax.Array]  # [B, T, N, E] each


class Biases(NamedTuple):
    """What is added to the scores of a decoder's two attentions."""

    own_B1QT: jax.Array
    cross_B1QT: jax.Array


class Past(NamedTuple):
    """The keys and values of the positions before, of all beams, where the new ones are put."""

    keys_BPKNE: jax.Array
    values_BPKNE: jax.Array
    position: jax.Array

    def extended(self, new: KeysValues) -> Past:
        """Give a past with [B, K, N, E] at the position."""
        keys, values = (
            jax.lax.dynamic_update_index_in_dim(whole, new_BKNE, self.position, 1)
            for whole, new_BKNE in zip(self[:2], new, strict=True)
        )
        return Past(keys, values, self.position)

    def flat(self) -> KeysValues:
        """Give all keys and values, [B, P·K, N, E]; those to come are masked by the bias."""
        keys, values = (whole.reshape(whole.shape[0], -1, *whole.shape[3:]) for whole in self[:2])
        return keys, values


class Attention(nn.Module):
    """Attention of several heads without biases; nothing drops in here (AlgoPerf's jax, v0.6)."""

    config: Any

    def setup(self) -> None:
        """Name the four layers; their limits come from matrices of D x D."""
        config = self.config
        heads = (config.n_heads, config.width // config.n_heads)
        self.query = nn.DenseGeneral(heads, use_bias=False, kernel_init=XAVIER)
        self.key = nn.DenseGeneral(heads, use_bias=False, kernel_init=XAVIER)
        self.value = nn.DenseGeneral(heads, use_bias=False, kernel_init=XAVIER)
        self.out = nn.DenseGeneral(config.width, (-2, -1), use_bias=False, kernel_init=XAVIER)

    def keys_values(self, x_BTD: jax.Array) -> KeysValues:
        """Give what can be asked of `x_BTD`."""
        return self.key(x_BTD), self.value(x_BTD)

    def __call__(self, x_BQD: jax.Array, asked: KeysValues, bias_B1QT: jax.Array) -> jax.Array:
        """Let `x_BQD` ask; `bias_B1QT` is added to the scores; [B, Q, D]."""
        k_BTNE, v_BTNE = asked
        factor = self.config.attention_temperature / math.sqrt(k_BTNE.shape[-1])
        q_BQNE = self.query(x_BQD) * factor
        scores_BNQT = jnp.einsum("BQNE,BTNE->BNQT", q_BQNE, k_BTNE) + bias_B1QT
        weights_BNQT = jax.nn.softmax(scores_BNQT)
        return self.out(jnp.einsum("BNQT,BTNE->BQNE", weights_BNQT, v_BTNE))


class MlpBlock(nn.Module):
    """Two dense layers; a gate, where there is one, reads what the first one reads."""

    config: Any

    @nn.compact
    def __call__(self, x_BLD: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, L, D]; units drop inside and at the end."""
        config, dropout = self.config, Dropout(self.config.dropout_rate)
        activation = {"relu": nn.relu, "tanh": jnp.tanh}[config.activation]
        hidden = activation(_dense(config.mlp_width, 0)(x_BLD))
        if config.is_glu:
            hidden = hidden * _dense(config.mlp_width, 1)(x_BLD)
        hidden = dropout(hidden, mode)
        return dropout(_dense(config.width, 2 if config.is_glu else 1)(hidden), mode)


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each with a residual, normalised before or after."""

    config: Any

    @nn.compact
    def __call__(self, x_BLD: jax.Array, bias_B1LL: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, L, D]."""
        attention = Attention(self.config, name="MultiHeadDotProductAttention_0")
        mlp = MlpBlock(self.config, name="MlpBlock_0")
        norm1, norm2 = layer_norm("LayerNorm_0"), layer_norm("LayerNorm_1")
        dropout = Dropout(self.config.dropout_rate)

        def attend(y_BLD: jax.Array) -> jax.Array:
            return dropout(attention(y_BLD, attention.keys_values(y_BLD), bias_B1LL), mode)

        if self.config.is_post_layer_norm:
            x_BLD = norm1(x_BLD + attend(x_BLD))
            return norm2(x_BLD + mlp(x_BLD, mode))
        x_BLD = x_BLD + attend(norm1(x_BLD))
        return x_BLD + mlp(norm2(x_BLD), mode)


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and MLP, each with a residual, normalised before or after."""

    config: Any

    def setup(self) -> None:
        """Name the layers."""
        self.self_attn = Attention(self.config, name="MultiHeadDotProductAttention_0")
        self.cross_attn = Attention(self.config, name="MultiHeadDotProductAttention_1")
        self.mlp = MlpBlock(self.config, name="MlpBlock_0")
        self.norms = [layer_norm(f"LayerNorm_{i}") for i in range(3)]
        self.dropout = Dropout(self.config.dropout_rate)

    def encoded(self, x_BTD: jax.Array) -> KeysValues:
        """Give what the cross-attention can ask of the encoded inputs."""
        return self.cross_attn.keys_values(x_BTD)

    def __call__(
        self,
        y_BLD: jax.Array,
        encoded: KeysValues,
        biases: Biases,
        mode: Mode,
        past: Past | None = None,
    ) -> tuple[jax.Array, Past | None]:
        """Give [B, L, D] and the past with its new keys and values.

        With a past, the L rows are the beams' one new position.
        """
        is_post, norms, dropout = self.config.is_post_layer_norm, self.norms, self.dropout
        own_BLD = y_BLD if is_post else norms[0](y_BLD)
        asked = self.self_attn.keys_values(own_BLD)
        if past is not None:
            past = past.extended(asked)
            asked = past.flat()
        answer_BLD = dropout(self.self_attn(own_BLD, asked, biases.own_B1QT), mode)
        if is_post:
            y_BLD = norms[0](y_BLD + answer_BLD)
            answer_BLD = dropout(self.cross_attn(y_BLD, encoded, biases.cross_B1QT), mode)
            y_BLD = norms[1](y_BLD + answer_BLD)
            return norms[2](y_BLD + self.mlp(y_BLD, mode)), past
        y_BLD = y_BLD + answer_BLD
        answer_BLD = self.cross_attn(norms[1](y_BLD), encoded, biases.cross_B1QT)
        y_BLD = y_BLD + dropout(answer_BLD, mode)
        return y_BLD + self.mlp(norms[2](y_BLD), mode), past


def score_bias(allowed_BQT: jax.Array) -> jax.Array:
    """Give what to add to scores, float32 [B, 1, Q, T]: finite, so that no row becomes NaN."""
    return jnp.where(allowed_BQT, 0.0, MASKED_SCORE)[:, None]


def layer_norm(name: str) -> nn.LayerNorm:
    """Give a layer norm."""
    return nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name=name)


def _dense(n_out: int, number: int) -> nn.Dense:
    bias_init = nn.initializers.normal(MLP_BIAS_STDDEV)
    return nn.Dense(n_out, kernel_init=XAVIER, bias_init=bias_init, name=f"Dense_{number}")
