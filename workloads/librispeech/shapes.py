"""What both speech models share: sizes of the subsampled sequence, positions, activations' names.

Source: AlgoPerf v0.6, librispeech_conformer (both frameworks).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PacebenchError
from workloads.librispeech.features import N_MELS, n_frames_of

LAYER_NORM_EPSILON = 1e-6
# AlgoPerf v0.6, both models' batch norm; running = decay · running + (1 - decay) · batch.
BATCH_NORM_EPSILON, BATCH_NORM_DECAY = 1e-3, 0.999
SUBSAMPLING_KERNEL = 3
"""Side of the convolutions that shorten the sequence."""
LONGEST_WAVE = 10_000.0
"""The longest wave of the positions, in positions over 2π."""


def subsampled(length: int, strides: tuple[int, int]) -> int:
    """Give the length of frames or mel bins after the two convolutions."""
    for stride in strides:
        length = -(-length // stride)
    return length


def n_positions_of(n_samples: int, strides: tuple[int, int]) -> int:
    """Give the positions for which a waveform of `n_samples` has logits."""
    return subsampled(n_frames_of(n_samples), strides)


def n_mels_left(strides: tuple[int, int]) -> int:
    """Give the mel bins after the two convolutions."""
    return subsampled(N_MELS, strides)


def same_padding(length: int, stride: int) -> tuple[int, int]:
    """Give the zeros before and after an axis that TensorFlow's "SAME" puts there; the odd one goes
    last."""
    total = max(0, (-(-length // stride) - 1) * stride + SUBSAMPLING_KERNEL - length)
    return total // 2, total - total // 2


def check_length(n_samples: int, limit: int) -> None:
    """Raise PacebenchError for waveforms longer than the configuration says."""
    if n_samples > limit:
        raise PacebenchError(
            f"waveforms of {n_samples} samples; the model is for at most {limit}: raise the "
            "configuration's n_samples, or cut the data"
        )


def positions(n_positions: int, width: int) -> NDArray[np.float32]:
    """Give the fixed positions [T, D]: sin(t ω_k), then cos(t ω_k), k = 0 … K - 1, K = D / 2, with
    ω_k = 10000^(-k / (K - 1)). Source: AlgoPerf v0.6, after Vaswani et al. 2017."""
    n_waves = width // 2
    omega_K = LONGEST_WAVE ** (-np.arange(n_waves) / (n_waves - 1))
    angles_TK = np.outer(np.arange(n_positions), omega_K)
    return np.concatenate([np.sin(angles_TK), np.cos(angles_TK)], axis=1).astype(np.float32)
