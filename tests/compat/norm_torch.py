"""A torch model with batch norm and dropout for digits, small enough for tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pacebench.backends.layers_torch import BatchNorm, Dropout, dense
from pacebench.spec import Batch, Mode


class NormNet(nn.Module):
    """Dense, batch norm, dropout, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = dense(64, 16)
        self.bn = BatchNorm(16)
        self.dropout = Dropout(0.1)
        self.out = dense(16, 10)

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give logits [B, 10]."""
        x = self.bn(self.hidden(batch["inputs"]), mode).relu()
        return self.out(self.dropout(x, mode))


def build(config: Any) -> nn.Module:
    """Build the model."""
    return NormNet()
