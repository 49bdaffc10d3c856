"""Layers for flax models whose behaviour is chosen at every call by a `Mode`.

Letters: B batch, T positions, C channels.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.spec import Mode


class BatchNorm(nn.Module):
    """Batch norm over all axes but the last, with statistics of the global batch.

    `mode.normalize_with` and `mode.update_running` are independent. The running variance takes in
    the biased variance. Arrays sharded over devices give global statistics by themselves.
    """

    epsilon: float = 1e-5
    decay: float = 0.9
    scale_init: Any = nn.initializers.ones

    @nn.compact
    def __call__(self, x_BC: jax.Array, mode: Mode) -> jax.Array:
        """Normalise; shape [B, …, C] in and out."""
        n_channels = x_BC.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, (n_channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (n_channels,))
        scale_C = self.param("scale", self.scale_init, (n_channels,))
        bias_C = self.param("bias", nn.initializers.zeros, (n_channels,))
        mean_C, var_C = mean.value, var.value
        uses_batch = mode.normalize_with == "batch"
        if uses_batch or mode.update_running:
            axes = tuple(range(x_BC.ndim - 1))
            batch_mean_C = x_BC.mean(axes)
            batch_var_C = jnp.maximum(0.0, (x_BC * x_BC).mean(axes) - batch_mean_C * batch_mean_C)
            if mode.update_running and not self.is_initializing():
                # No gradient flows through the averages, as none does through torch's buffers.
                new_mean_C, new_var_C = jax.lax.stop_gradient((batch_mean_C, batch_var_C))
                mean.value = self.decay * mean.value + (1 - self.decay) * new_mean_C
                var.value = self.decay * var.value + (1 - self.decay) * new_var_C
                if not uses_batch:
                    mean_C, var_C = mean.value, var.value
            if uses_batch:
                mean_C, var_C = batch_mean_C, batch_var_C
        shape = (1,) * (x_BC.ndim - 1) + (n_channels,)
        factor_C = scale_C * jax.lax.rsqrt(var_C + self.epsilon)
        return (x_BC - mean_C.reshape(shape)) * factor_C.reshape(shape) + bias_C.reshape(shape)


class MaskedBatchNorm(nn.Module):
    """Batch norm over positions that are not padding, with statistics of the global batch.

    `scale` is the scale's distance from 1. As in `BatchNorm`, the two switches of a mode are
    independent and the running variance takes in the biased variance. A batch that is all padding
    counts as one position. Outputs at padding are 0.
    """

    epsilon: float = 1e-3
    decay: float = 0.999

    @nn.compact
    def __call__(self, x_BTC: jax.Array, paddings_BT: jax.Array, mode: Mode) -> jax.Array:
        """Normalise; shape [B, T, C] in and out, `paddings_BT` is 1 at padding."""
        n_channels = x_BTC.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, (n_channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (n_channels,))
        scale_C = self.param("scale", nn.initializers.zeros, (n_channels,))
        bias_C = self.param("bias", nn.initializers.zeros, (n_channels,))
        mask_BT1 = 1 - paddings_BT[..., None]
        mean_C, var_C = mean.value, var.value
        uses_batch = mode.normalize_with == "batch"
        if uses_batch or mode.update_running:
            batch_mean_C, batch_var_C = _masked_moments(x_BTC, mask_BT1)
            if mode.update_running and not self.is_initializing():
                # No gradient flows through the averages, as none does through torch's buffers.
                new_mean_C, new_var_C = jax.lax.stop_gradient((batch_mean_C, batch_var_C))
                mean.value = self.decay * mean.value + (1 - self.decay) * new_mean_C
                var.value = self.decay * var.value + (1 - self.decay) * new_var_C
                mean_C, var_C = mean.value, var.value
            if uses_batch:
                mean_C, var_C = batch_mean_C, batch_var_C
        factor_C = (1 + scale_C) * jax.lax.rsqrt(var_C + self.epsilon)
        shape = (1, 1, n_channels)
        centred_BTC = x_BTC - mean_C.reshape(shape)
        return (centred_BTC * factor_C.reshape(shape) + bias_C.reshape(shape)) * mask_BT1


class Dropout(nn.Module):
    """Dropout whose rate is `mode.dropout_rate`, or `default_rate` where that is None."""

    default_rate: float

    @nn.compact
    def __call__(self, x: jax.Array, mode: Mode) -> jax.Array:
        """Drop and rescale in training; rate 0 draws nothing."""
        rate = self.default_rate if mode.dropout_rate is None else mode.dropout_rate
        if drops_nothing(rate, mode):
            return x
        keep = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - rate, x.shape)
        return jnp.where(keep, x / (1.0 - rate), 0.0)


def drops_nothing(rate: float | jax.Array, mode: Mode) -> bool:
    """Whether dropout is known to do nothing; of a traced rate nothing is known.

    AlgoPerf's jax submissions hand their rate to a jitted step as an argument like any other.
    """
    return not mode.train or (isinstance(rate, float | int) and rate == 0)


def _masked_moments(x_BTC: jax.Array, mask_BT1: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance over the positions with mask 1."""
    count = jnp.maximum(1.0, mask_BT1.sum())
    mean_C = (x_BTC * mask_BT1).sum((0, 1)) / count
    centred_BTC = x_BTC - mean_C.reshape(1, 1, -1)
    return mean_C, (centred_BTC * centred_BTC * mask_BT1).sum((0, 1)) / count
