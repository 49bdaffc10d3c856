"""The digits perceptron in torch."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn

from pacebench.backends.layers_torch import dense
from pacebench.spec import Batch, Mode


class Perceptron(nn.Module):
    """Dense layers with ReLU between them; logits [B, n_classes]."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        widths = (config.n_inputs, *config.n_hidden, config.n_classes)
        self.layers = nn.ModuleList(
            dense(n_in, n_out) for n_in, n_out in itertools.pairwise(widths)
        )

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:  # noqa: ARG002 (no dropout, no norm)
        """Give the logits of `inputs` [B, n_inputs]."""
        x = batch["inputs"]
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return Perceptron(config)
