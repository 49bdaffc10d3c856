"""The mnist perceptron in torch."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from pacebench.backends.layers_torch import dense
from pacebench.spec import Batch, Mode


class Perceptron(nn.Module):
    """One hidden layer with a sigmoid; logits [B, n_classes]. Names as AlgoPerf's torch."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.net = nn.Sequential(
            OrderedDict(
                layer1=dense(config.n_inputs, config.n_hidden),
                sigmoid=nn.Sigmoid(),
                layer2=dense(config.n_hidden, config.n_classes),
            )
        )

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:  # noqa: ARG002 (no dropout, no norm)
        """Give the logits of `inputs` [B, H, W, 1]."""
        return self.net(batch["inputs"].flatten(1))


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return Perceptron(config)
