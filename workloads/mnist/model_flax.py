"""The mnist perceptron in flax."""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from pacebench.spec import Batch, Mode


class Perceptron(nn.Module):
    """One hidden layer with a sigmoid; logits [B, n_classes]."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:  # noqa: ARG002 (no dropout, no norm)
        """Give the logits of `inputs` [B, H, W, 1]."""
        inputs = batch["inputs"]
        x = inputs.reshape(inputs.shape[0], -1)
        x = nn.sigmoid(nn.Dense(self.config.n_hidden)(x))
        return nn.Dense(self.config.n_classes)(x)


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return Perceptron(config)
