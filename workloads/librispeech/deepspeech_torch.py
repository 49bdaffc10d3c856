"""The DeepSpeech models of librispeech_deepspeech and its variants (AlgoPerf v0.6) in torch.

Letters: B batch, T positions, D width, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pacebench.backends.layers_torch import Dropout, MaskedBatchNorm
from pacebench.spec import Batch, Mode
from workloads.librispeech.layers_torch import (
    ACTIVATIONS,
    Features,
    LayerNorm,
    Subsample,
    xavier_dense,
)
from workloads.librispeech.lstm_torch import BidirectionalLstm
from workloads.librispeech.shapes import BATCH_NORM_EPSILON


class Recurrent(nn.Module):
    """A norm and a bidirectional LSTM."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.bn, self.ln = _norms(config)
        self.lstm = BidirectionalLstm(config.width, config.width // 2)

    def forward(self, x_BTD: torch.Tensor, paddings_BT: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D], 0 at padding."""
        y_BTD = self.bn(x_BTD, paddings_BT, mode) if self.ln is None else self.ln(x_BTD)
        return self.lstm(y_BTD, paddings_BT)


class FeedForward(nn.Module):
    """A norm, a dense layer, an activation, dropout."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.bn, self.ln = _norms(config)
        self.lin = xavier_dense(config.width, config.width)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BTD: torch.Tensor, paddings_BT: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D], 0 at padding."""
        y_BTD = self.bn(x_BTD, paddings_BT, mode) if self.ln is None else self.ln(x_BTD)
        y_BTD = self.activation(self.lin(y_BTD)) * (1 - paddings_BT)[..., None]
        return self.dropout(y_BTD, mode)


class DeepSpeech(nn.Module):
    """Features, subsampling, recurrent and feed-forward layers, layer norm, the output layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.is_residual = config.is_residual
        self.features = Features(config)
        self.subsample = Subsample(config, config.activation)
        self.dropout = Dropout(config.dropout_rate)
        self.lstms = nn.ModuleList(Recurrent(config) for _ in range(config.n_recurrent_layers))
        self.ffns = nn.ModuleList(FeedForward(config) for _ in range(config.n_feed_forward_layers))
        self.ln = None if config.is_layer_norm_everywhere else LayerNorm(config.width)
        self.lin = xavier_dense(config.width, config.vocabulary_size)

    def forward(self, batch: Batch, mode: Mode) -> tuple[torch.Tensor, torch.Tensor]:
        """Give logits [B, T, C] and paddings [B, T] of `inputs`, waveforms and paddings."""
        x_BTD, paddings_BT = self.subsample(*self.features(batch, mode))
        x_BTD = self.dropout(x_BTD, mode)
        for layer in (*self.lstms, *self.ffns):
            y_BTD = layer(x_BTD, paddings_BT, mode)
            x_BTD = x_BTD + y_BTD if self.is_residual else y_BTD
        if self.ln is not None:
            x_BTD = self.ln(x_BTD)
        return self.lin(x_BTD), paddings_BT


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return DeepSpeech(config)


def _norms(config: Any) -> tuple[nn.Module | None, nn.Module | None]:
    """Give the norm that a layer begins with: a batch norm or a layer norm, and None."""
    if config.is_layer_norm_everywhere:
        return None, LayerNorm(config.width)
    decay = config.batch_norm_decay
    return MaskedBatchNorm(config.width, epsilon=BATCH_NORM_EPSILON, decay=decay), None
