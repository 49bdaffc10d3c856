"""The DLRMs of criteo1tb and its variants (AlgoPerf v0.6) in flax.

Letters: B batch, N numbers, C categories, V vectors (the bottom's output and the embeddings), D
width.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout
from pacebench.spec import Batch, Mode
from workloads.criteo.dlrm import (
    LAYER_NORM_EPSILON,
    N_CATEGORIES,
    N_DENSE,
    Config,
    bias_deviation,
    top_deviation,
)


class Dlrm(nn.Module):
    """Layers over the numbers, embeddings of the categories, layers over both; logits [B, 1]."""

    config: Config

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the logits of `inputs` [B, 39], float32: 13 numbers, then 26 ids."""
        config = self.config
        inputs = jnp.asarray(batch["inputs"])
        n_bottom, n_hidden = len(config.bottom), len(config.top) - 1
        x_BD = inputs[:, :N_DENSE]
        for i, width in enumerate(config.bottom):
            hidden = nn.relu(_bottom_dense(width, i)(x_BD))
            hidden = self._norm(hidden, i)
            x_BD = x_BD + hidden if config.is_residual and i > 0 else hidden
        x_BD = jnp.concatenate([x_BD, self._combine(x_BD, self._embed(inputs))], axis=1)
        for i, width in enumerate(config.top[:-1]):
            hidden = nn.relu(_top_dense(x_BD.shape[1], width, n_bottom + i)(x_BD))
            hidden = self._norm(hidden, n_bottom + 1 + i)
            if i == n_hidden - 1:
                hidden = Dropout(config.dropout_rate)(hidden, mode)
            x_BD = x_BD + hidden if config.is_residual and i > 0 else hidden
        return _top_dense(x_BD.shape[1], config.top[-1], n_bottom + n_hidden)(x_BD)

    def _embed(self, inputs: jax.Array) -> jax.Array:
        config = self.config
        init = nn.initializers.uniform(config.first_embedding_limit)
        table = self.param("embedding_table", init, (config.n_rows, config.width))
        rows_BC = inputs[:, N_DENSE:].astype(jnp.int32) % config.n_rows
        embedded_BCD = table.at[rows_BC].get(mode="promise_in_bounds")
        return self._norm(embedded_BCD, len(config.bottom))

    def _norm(self, x: jax.Array, number: int) -> jax.Array:
        if not self.config.has_layer_norm:
            return x
        norm = nn.LayerNorm(
            epsilon=LAYER_NORM_EPSILON, use_fast_variance=False, name=f"LayerNorm_{number}"
        )
        return norm(x)

    def _combine(self, bottom_BD: jax.Array, embedded_BCD: jax.Array) -> jax.Array:
        n_examples = bottom_BD.shape[0]
        if self.config.is_residual:
            return embedded_BCD.reshape(n_examples, -1)
        vectors_BVD = jnp.concatenate([bottom_BD[:, None], embedded_BCD], axis=1)
        products_BVV = vectors_BVD @ vectors_BVD.transpose(0, 2, 1)
        first_P, second_P = np.triu_indices(1 + N_CATEGORIES)
        return products_BVV[:, first_P, second_P]


def build(config: Config) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return Dlrm(config)


def _bottom_dense(n_out: int, number: int) -> nn.Dense:
    return nn.Dense(
        n_out,
        kernel_init=nn.initializers.xavier_uniform(),
        bias_init=nn.initializers.normal(bias_deviation(n_out)),
        name=f"Dense_{number}",
    )


def _top_dense(n_in: int, n_out: int, number: int) -> nn.Dense:
    return nn.Dense(
        n_out,
        kernel_init=nn.initializers.normal(top_deviation(n_in, n_out)),
        bias_init=nn.initializers.normal(bias_deviation(n_out)),
        name=f"Dense_{number}",
    )
