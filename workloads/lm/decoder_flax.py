"""The decoder-only language models (AlgoPerf v1.0) in flax.

Letters: B batch, L positions, D width, N heads, E width of a head, F half of it, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.spec import Batch, Mode
from workloads.lm.decoder import LENGTH_EPSILON, NORM_EPSILON, rotations


class CausalAttn(nn.Module):
    """Attention to earlier positions, of rotated queries and keys of length 1."""

    config: Any

    @nn.compact
    def __call__(self, x_BLD: jax.Array) -> jax.Array:
        """Give [B, L, D]."""
        config, dtype = self.config, x_BLD.dtype
        scale = self.param("attn_scale", nn.initializers.constant(config.initial_scale), ())
        q_BLNE, k_BLNE, v_BLNE = (
            nn.DenseGeneral(
                (config.n_heads, config.head_width),
                use_bias=False,
                dtype=dtype,
                kernel_init=nn.initializers.normal(config.initial_stddev),
                name=name,
            )(x_BLD)
            for name in ("query", "key", "value")
        )
        y_BLNE = jax.nn.dot_product_attention(
            (_to_length_1(_rotated(q_BLNE)) * scale).astype(dtype),
            _to_length_1(_rotated(k_BLNE)).astype(dtype),
            v_BLNE,
            is_causal=True,
            scale=1.0,
            implementation=_attention_implementation(dtype),
        )
        return _dense(config.width, config.residual_stddev, dtype, "attn_out_proj")(
            y_BLNE.reshape(x_BLD.shape)
        )


class Mlp(nn.Module):
    """One half of the hidden units, gated by the sigmoid of the other."""

    config: Any

    @nn.compact
    def __call__(self, x_BLD: jax.Array) -> jax.Array:
        """Give [B, L, D]."""
        config, dtype = self.config, x_BLD.dtype
        hidden = _dense(2 * config.mlp_width, config.initial_stddev, dtype, "Dense_0")(x_BLD)
        return _dense(config.width, config.residual_stddev, dtype, "Dense_1")(nn.glu(hidden))


class Block(nn.Module):
    """Attention and MLP, each with a residual around it and a norm before it."""

    config: Any

    @nn.compact
    def __call__(self, x_BLD: jax.Array) -> jax.Array:
        """Give [B, L, D]."""
        x_BLD = x_BLD + CausalAttn(self.config, name="CausalAttn_0")(_norm("RMSNorm_0", x_BLD))
        return x_BLD + Mlp(self.config, name="Mlp_0")(_norm("RMSNorm_1", x_BLD))


class Decoder(nn.Module):
    """One embedding for inputs and logits, and the layers between; nothing is dropped."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:  # noqa: ARG002 (one way in all modes)
        """Give the logits [B, L, V] of the tokens that follow `inputs` [B, L]."""
        config = self.config
        is_bfloat16 = config.is_bfloat16(is_cpu=jax.default_backend() == "cpu")
        embed = nn.Embed(
            config.n_vocab,
            config.width,
            dtype=jnp.bfloat16 if is_bfloat16 else jnp.float32,
            embedding_init=nn.initializers.normal(config.initial_stddev),
            name="embed",
        )
        x_BLD = embed(batch["inputs"])
        for i in range(config.n_layers):
            x_BLD = Block(config, name=f"blocks_{i}")(x_BLD)
        return embed.attend(_norm("out_ln", x_BLD))


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return Decoder(config)


def _norm(name: str, x_BLD: jax.Array) -> jax.Array:
    """Divide by the root of the mean square, in float32, and scale."""
    norm = nn.RMSNorm(epsilon=NORM_EPSILON, dtype=jnp.float32, use_fast_variance=False, name=name)
    return norm(x_BLD).astype(x_BLD.dtype)


def _dense(n_out: int, stddev: float, dtype: Any, name: str) -> nn.Dense:
    init = nn.initializers.normal(stddev)
    return nn.Dense(n_out, use_bias=False, dtype=dtype, kernel_init=init, name=name)


def _rotated(x_BLNE: jax.Array) -> jax.Array:
    """Turn neighbouring pairs, in float32."""
    _, length, _, head_width = x_BLNE.shape
    cosines, sines = (jnp.asarray(r_LF)[None, :, None, :] for r_LF in rotations(length, head_width))
    pairs = x_BLNE.astype(jnp.float32).reshape(*x_BLNE.shape[:-1], -1, 2)
    first, second = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack(
        [first * cosines - second * sines, second * cosines + first * sines], axis=-1
    )
    return turned.reshape(x_BLNE.shape)


def _to_length_1(x_BLNE: jax.Array) -> jax.Array:
    squares = (x_BLNE * x_BLNE).sum(axis=-1, keepdims=True)
    # The root's slope at 0 is infinite; torch takes 0 for it.
    length = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
    return x_BLNE / (length + LENGTH_EPSILON)


def _attention_implementation(dtype: Any) -> Any:
    """Give cuDNN's fused attention where it serves (AlgoPerf v1.0's too), else XLA's."""
    is_served = dtype == jnp.bfloat16 and jax.default_backend() == "gpu"
    return "cudnn" if is_served else "xla"
