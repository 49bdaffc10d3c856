"""Log-mel features of speech: constants, and the reference in numpy that both frameworks follow.

Sources: AlgoPerf v0.6, librispeech (`librispeech_preprocessor.py`), which follows Lingvo and HTK.

A waveform holds values in -1 … 1; AlgoPerf's holds 2¹⁵ times as much and is divided by that here.
Paddings are 1 where there is padding, which comes last.

Letters: B batch, S samples, F frames, W samples of a frame, K frequencies, M mel bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PacebenchError
from workloads.librispeech.log_mel_statistics import MEAN_M, STDDEV_M

SAMPLE_RATE = 16_000
WINDOW = 400
"""Samples that a frame's spectrum sees: 25 ms. AlgoPerf cuts one more for the pre-emphasis."""
HOP = 160
"""Samples from frame to frame: 10 ms."""
FFT_LENGTH = 512
PRE_EMPHASIS = 0.97
N_MELS = 80
LOWEST_HERTZ, HIGHEST_HERTZ = 125.0, 7600.0
# HTK's mel scale (Young et al., The HTK Book, section 5.4).
MEL_FACTOR, MEL_CORNER_HERTZ = 1127.0, 700.0
LEAST_ENERGY = 1e-5
"""Mel energies below are taken for this before the logarithm."""


def n_frames_of(n_samples: int) -> int:
    """Give the number of frames; raises PacebenchError where there is not even one."""
    if n_samples <= WINDOW:
        raise PacebenchError(
            f"{n_samples} samples are too few for features: a frame takes {WINDOW + 1}"
        )
    return (n_samples - WINDOW - 1) // HOP + 1


def hann_window() -> NDArray[np.float64]:
    """Give the periodic Hann window [W]. Its first value is 0, so a frame's first sample is lost,
    and pre-emphasis needs nothing from before the frame."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def mel_matrix() -> NDArray[np.float64]:
    """Give the weights [K, M] of triangles, linear in mel; no area is normalised, and the frequency
    0 counts nowhere."""
    hertz_K = np.linspace(0.0, SAMPLE_RATE / 2, FFT_LENGTH // 2 + 1)
    mel_K1 = _mel(hertz_K)[:, None]
    edges = np.linspace(_mel(LOWEST_HERTZ), _mel(HIGHEST_HERTZ), N_MELS + 2)
    low_M, centre_M, high_M = edges[:-2], edges[1:-1], edges[2:]
    rising_KM = (mel_K1 - low_M) / (centre_M - low_M)
    falling_KM = (high_M - mel_K1) / (high_M - centre_M)
    weights_KM = np.maximum(0.0, np.minimum(rising_KM, falling_KM))
    weights_KM[0] = 0.0
    return weights_KM


def log_mel(
    waveform_BS: NDArray[np.float32], paddings_BS: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the normalised features [B, F, M] and the paddings of the frames [B, F], float32.

    Computed in float64. A frame is padding where all its samples are; its features are those of
    silence, not 0.
    """
    n_frames = n_frames_of(waveform_BS.shape[1])
    audible_BS = waveform_BS.astype(np.float64) * (1 - paddings_BS.astype(np.float64))
    at_FW = np.arange(n_frames)[:, None] * HOP + np.arange(WINDOW)
    frames_BFW = audible_BS[:, at_FW]
    before_BFW = np.concatenate([frames_BFW[..., :1], frames_BFW[..., :-1]], axis=-1)
    emphasised_BFW = frames_BFW - PRE_EMPHASIS * before_BFW
    spectrum_BFK = np.fft.rfft(emphasised_BFW * hann_window(), FFT_LENGTH)
    energy_BFM = np.abs(spectrum_BFK) ** 2 @ mel_matrix()
    features_BFM = np.log(np.maximum(energy_BFM, LEAST_ENERGY))
    normalised_BFM = (features_BFM - np.asarray(MEAN_M)) / np.asarray(STDDEV_M)
    at_FV = np.arange(n_frames)[:, None] * HOP + np.arange(WINDOW + 1)
    frame_paddings_BF = paddings_BS[:, at_FV].min(axis=-1)
    return normalised_BFM.astype(np.float32), frame_paddings_BF.astype(np.float32)


def _mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return MEL_FACTOR * np.log1p(np.asarray(hertz) / MEL_CORNER_HERTZ)
