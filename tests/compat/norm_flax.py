"""A flax model with batch norm and dropout for digits, small enough for tests."""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from pacebench.backends.layers_flax import BatchNorm, Dropout
from pacebench.spec import Batch, Mode


class NormNet(nn.Module):
    """Dense, batch norm, dropout, dense."""

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give logits [B, 10]."""
        x = nn.relu(BatchNorm(name="BatchNorm_0")(nn.Dense(16)(batch["inputs"]), mode))
        return nn.Dense(10)(Dropout(0.1)(x, mode))


def build(config: Any) -> nn.Module:
    """Build the model."""
    return NormNet()
