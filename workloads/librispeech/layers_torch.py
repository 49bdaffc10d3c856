"""Layers that the Conformer and DeepSpeech share, in torch (AlgoPerf v0.6).

Letters: B batch, S samples, F frames, M mel bins, C channels, T positions, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.linear_torch import Linear
from pacebench.spec import Batch, Mode
from workloads.librispeech.features_torch import LogMel
from workloads.librispeech.shapes import (
    LAYER_NORM_EPSILON,
    SUBSAMPLING_KERNEL,
    check_length,
    n_mels_left,
    same_padding,
)
from workloads.librispeech.spec_augment_torch import augment

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "swish": functional.silu,
    # AlgoPerf's jax; its torch takes the exact one in the convolution block.
    "gelu": lambda x: functional.gelu(x, approximate="tanh"),
}


class LayerNorm(nn.Module):
    """Layer norm whose `weight` is the scale's distance from 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        shape = self.weight.shape
        return functional.layer_norm(x_BTD, shape, 1 + self.weight, self.bias, LAYER_NORM_EPSILON)


class Conv2dSubsampling(nn.Module):
    """A convolution that pads as TensorFlow's "SAME", an activation, and 0 at padding."""

    def __init__(self, n_in: int, n_out: int, stride: int, activation: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, SUBSAMPLING_KERNEL, SUBSAMPLING_KERNEL))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)
        self.stride = stride
        self.activation = ACTIVATIONS[activation]

    def forward(
        self, x_BCFM: torch.Tensor, paddings_BF: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give [B, C, F', M'] and the paddings of every stride-th frame."""
        time, mel = (same_padding(n, self.stride) for n in x_BCFM.shape[2:])
        padded = functional.pad(x_BCFM, (*mel, *time))
        x_BCFM = self.activation(functional.conv2d(padded, self.weight, self.bias, self.stride))
        paddings_BF = paddings_BF[:, :: self.stride]
        return x_BCFM * (1 - paddings_BF)[:, None, :, None], paddings_BF


class Subsample(nn.Module):
    """Two convolutions over time and frequency and a dense layer: features to positions."""

    def __init__(self, config: Any, activation: str) -> None:
        super().__init__()
        width = config.width
        self.conv1 = Conv2dSubsampling(1, width, config.strides[0], activation)
        self.conv2 = Conv2dSubsampling(width, width, config.strides[1], activation)
        self.linear = xavier_dense(n_mels_left(config.strides) * width, width)

    def forward(
        self, features_BFM: torch.Tensor, paddings_BF: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give [B, T, D] and paddings [B, T]."""
        x_BCFM, paddings_BT = self.conv1(features_BFM[:, None], paddings_BF)
        x_BCTM, paddings_BT = self.conv2(x_BCFM, paddings_BT)
        # Of mel bin and channel, the channel runs faster.
        return self.linear(x_BCTM.permute(0, 2, 3, 1).flatten(2)), paddings_BT


class Features(nn.Module):
    """Log-mel features, with stripes hidden in training where the configuration has SpecAugment."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel()

    def forward(self, batch: Batch, mode: Mode) -> tuple[torch.Tensor, torch.Tensor]:
        """Give [B, F, M] of `inputs`, waveforms and paddings [B, S], and paddings [B, F]."""
        waveform_BS, paddings_BS = batch["inputs"]
        check_length(waveform_BS.shape[1], self.config.n_samples)
        features_BFM, paddings_BF = self.log_mel(waveform_BS, paddings_BS)
        if mode.train and self.config.spec_augment is not None:
            features_BFM = augment(features_BFM, paddings_BF, self.config.spec_augment)
        return features_BFM, paddings_BF


def xavier_dense(n_in: int, n_out: int) -> nn.Linear:
    """Give a linear layer whose weights start Xavier uniform and whose bias starts at 0."""
    layer = Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
