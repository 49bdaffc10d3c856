"""Decodes a FLAC file of LibriSpeech and checks that it is whole."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.librispeech.sets import SAMPLE_RATE

# Xiph's format: "fLaC", a block header of 4 bytes, then STREAMINFO, whose last 16 of 34 bytes are
# the MD5 sum of the samples, or zeros where the encoder wrote none.
MARK = b"fLaC"
MD5_BYTES = slice(26, 42)


def decode(data: bytes, where: str) -> NDArray[np.int16]:
    """Give the samples [N] of a mono 16-bit file at 16 kHz; raises DataError that names `where`."""
    import soundfile

    if not data.startswith(MARK):
        raise DataError(f"{where} is no FLAC file; unpack it again")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_format(file, where)
            n_samples = file.frames
            samples_N: NDArray[np.int16] = file.read(dtype="int16")
    except soundfile.SoundFileError as error:
        raise DataError(
            f"{where} is cut off or damaged ({str(error).rpartition(': ')[2]}); unpack or download "
            "it again"
        ) from error
    stated = data[MD5_BYTES]
    is_right = hashlib.md5(samples_N.astype("<i2"), usedforsecurity=False).digest() == stated
    if len(samples_N) != n_samples or not n_samples or (any(stated) and not is_right):
        raise DataError(
            f"{where} is cut off or damaged ({len(samples_N):,} of {n_samples:,} samples; their "
            f"MD5 sum is {'right' if is_right else 'wrong'}); unpack or download it again"
        )
    return samples_N


def _check_format(file: object, where: str) -> None:
    rate, n_channels = file.samplerate, file.channels  # type: ignore[attr-defined]
    bits = file.subtype  # type: ignore[attr-defined]
    if (rate, n_channels, bits) != (SAMPLE_RATE, 1, "PCM_16"):
        raise DataError(
            f"{where} has {rate:,} samples per second in {n_channels} channel(s) of format {bits}; "
            f"LibriSpeech has {SAMPLE_RATE:,} in 1 of PCM_16"
        )
