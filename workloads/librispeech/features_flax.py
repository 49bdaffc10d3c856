"""Log-mel features of `workloads.librispeech.features` in jax.

Letters: B batch, S samples, F frames, W samples of a frame, K frequencies, M mel bins.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from workloads.librispeech.features import (
    FFT_LENGTH,
    HOP,
    LEAST_ENERGY,
    PRE_EMPHASIS,
    WINDOW,
    hann_window,
    mel_matrix,
    n_frames_of,
)
from workloads.librispeech.log_mel_statistics import MEAN_M, STDDEV_M


def log_mel(waveform_BS: jax.Array, paddings_BS: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Give the features [B, F, M] and the paddings [B, F] of the frames."""
    n_frames = n_frames_of(waveform_BS.shape[1])
    audible_BS = waveform_BS * (1 - paddings_BS)
    # The window takes a frame's first sample away: all frames share one pre-emphasis.
    emphasised_BS = audible_BS[:, 1:] - PRE_EMPHASIS * audible_BS[:, :-1]
    window_W = jnp.asarray(hann_window()[1:], jnp.float32)
    frames_BFW = _frames(emphasised_BS, n_frames) * window_W.reshape(1, 1, -1)
    spectrum_BFK = jnp.fft.rfft(frames_BFW, FFT_LENGTH)
    power_BFK = spectrum_BFK.real**2 + spectrum_BFK.imag**2
    mel_KM = jnp.asarray(mel_matrix(), jnp.float32)
    energy_BFM = jnp.matmul(power_BFK, mel_KM, precision=jax.lax.Precision.HIGHEST)
    features_BFM = jnp.log(jnp.maximum(energy_BFM, LEAST_ENERGY))
    mean_M, stddev_M = (np.asarray(v, np.float32)[None, None] for v in (MEAN_M, STDDEV_M))
    # Padding comes last, so a frame whose first sample is padding is nothing else.
    return (features_BFM - mean_M) / stddev_M, paddings_BS[:, ::HOP][:, :n_frames]


def _frames(x_BS: jax.Array, n_frames: int) -> jax.Array:
    """Cut frames of WINDOW - 1 samples as whole hops side by side, which costs no gather."""
    n_hops = -(-(WINDOW - 1) // HOP)
    n_needed = (n_frames + n_hops - 1) * HOP
    x_BS = jnp.pad(x_BS[:, :n_needed], ((0, 0), (0, max(0, n_needed - x_BS.shape[1]))))
    hops = x_BS.reshape(len(x_BS), -1, HOP)
    parts = [hops[:, i : i + n_frames] for i in range(n_hops)]
    return jnp.concatenate(parts, axis=-1)[..., : WINDOW - 1]
