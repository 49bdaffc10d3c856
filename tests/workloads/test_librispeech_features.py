"""Log-mel features: the reference against hand and AlgoPerf's values, torch and jax against it."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.errors import PacebenchError
from workloads.librispeech import features, features_flax, features_torch
from workloads.librispeech.log_mel_statistics import MEAN_M, STDDEV_M

N_SAMPLES = 32_000  # the golden wave of facts_speech_dev.md, section 2.1


def golden_wave() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the two rows of section 2.1, divided by 2¹⁵ as ours are, and their paddings."""
    n = np.arange(N_SAMPLES)
    first = np.round(
        8000 * np.sin(2 * np.pi * 440 * n / 16000)
        + 3000 * np.sin(2 * np.pi * (300 + 0.1 * n) * n / 16000)
    )
    second = np.where(n < 20000, np.round(5000 * np.sin(2 * np.pi * 1000 * n / 16000)), 0)
    paddings_BS = np.stack([np.zeros(N_SAMPLES), n >= 20000])
    return (np.stack([first, second]) / 2**15).astype(np.float32), paddings_BS.astype(np.float32)


def in_torch(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Compute features in torch."""
    return [t.numpy() for t in features_torch.LogMel()(*map(torch.from_numpy, arrays))]


def in_jax(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Compute features in jax."""
    return [np.asarray(a) for a in jax.jit(features_flax.log_mel)(*arrays)]


EVERYWHERE = pytest.mark.parametrize("compute", [features.log_mel, in_torch, in_jax])


@EVERYWHERE
def test_features_are_algoperfs(compute: Any) -> None:
    found, paddings = compute(*golden_wave())
    assert found.shape == (2, 198, 80)
    assert found.dtype == paddings.dtype == np.float32
    assert (1 - paddings).sum(1).tolist() == [198, 125]
    bins = [0, 1, 10, 40, 79]
    wanted = {
        (0, 0): [-0.946756, -0.700382, 2.319977, -1.512033, -1.332703],
        (0, 100): [-1.137633, -1.221342, 2.318920, -1.512033, -1.332703],
        (1, 197): [-1.137633, -1.221342, -1.298119, -1.512033, -1.332703],
    }
    for (example, frame), values in wanted.items():
        np.testing.assert_allclose(found[example, frame, bins], values, atol=1e-4)
    assert found.mean(dtype=np.float64) == pytest.approx(-1.0263602, abs=1e-5)
    assert found.std(dtype=np.float64) == pytest.approx(1.0165473, abs=1e-5)


def test_the_mel_weights_are_algoperfs() -> None:
    weights_KM = features.mel_matrix()
    assert weights_KM.shape == (257, 80)
    assert weights_KM.sum() == pytest.approx(234.94843, abs=1e-4)
    assert np.count_nonzero(weights_KM) == 470
    assert np.count_nonzero(weights_KM, axis=0).min() == 1
    assert np.flatnonzero(weights_KM[:, 0]).tolist() == [5]
    assert weights_KM[5, 0] == pytest.approx(0.695547, abs=3e-6)  # theirs is float32


def plain_features(samples: NDArray[Any]) -> NDArray[np.float64]:
    """The steps of facts_speech_dev.md, section 2.1, one frame and one sum at a time."""
    rows = []
    for start in range(0, len(samples) - 401 + 1, 160):
        frame = [float(v) for v in samples[start : start + 401]]
        emphasised = [frame[0] * (1 - 0.97)]
        emphasised += [frame[k] - 0.97 * frame[k - 1] for k in range(1, 400)]
        window = [0.5 - 0.5 * math.cos(2 * math.pi * k / 400) for k in range(400)]
        values = np.array([e * w for e, w in zip(emphasised, window, strict=True)])
        angles = -2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512
        power = np.abs(np.exp(angles) @ values) ** 2
        rows.append([math.log(max(mel_energy(power, m), 1e-5)) for m in range(80)])
    return (np.array(rows) - np.array(MEAN_M)) / np.array(STDDEV_M)


def mel_energy(power: NDArray[np.float64], number: int) -> float:
    """One triangle's share of the power, by hand."""

    def mel(hertz: float) -> float:
        return 1127 * math.log(1 + hertz / 700)

    step = (mel(7600) - mel(125)) / 81
    low, centre, high = (mel(125) + step * (number + k) for k in range(3))
    energy = 0.0
    for k in range(1, 257):
        at = mel(k * 8000 / 256)
        energy += (
            max(0.0, min((at - low) / (centre - low), (high - at) / (high - centre))) * (power[k])
        )
    return energy


@EVERYWHERE
def test_features_are_what_the_plain_reference_computes(compute: Any) -> None:
    generator = np.random.default_rng(0)
    waveform_BS = generator.normal(size=(4, 401 + 160 * 2 + 159)).astype(np.float32)
    waveform_BS *= np.float32([[0.3], [1e-2], [1e-4], [0]])  # loud, soft, below the floor, silent
    found, _ = compute(waveform_BS, np.zeros_like(waveform_BS))
    wanted = [plain_features(row) for row in waveform_BS]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(found[2:]) > 0  # bins differ in silence: their statistics do


@EVERYWHERE
def test_a_frame_is_padding_where_all_its_401_samples_are(compute: Any) -> None:
    # Frame 2 covers the samples 320 … 720. Sample 720 is the last to be heard, then 719, 320, 319.
    for n_heard, n_frames in ((721, 5), (720, 5), (321, 3), (320, 2)):
        paddings_BS = (np.arange(1200) >= n_heard).astype(np.float32)[None]
        _, paddings_BF = compute(np.ones_like(paddings_BS), paddings_BS)
        assert paddings_BF.shape == (1, 5)
        assert (1 - paddings_BF).sum() == n_frames


@EVERYWHERE
def test_nothing_at_padding_is_heard(compute: Any) -> None:
    waveform_BS, paddings_BS = golden_wave()
    loud = np.where(paddings_BS == 1, 0.5, waveform_BS).astype(np.float32)
    quiet = compute(waveform_BS[1:], paddings_BS[1:])[0]
    assert np.array_equal(compute(loud[1:], paddings_BS[1:])[0], quiet)


@pytest.mark.parametrize("n_samples", [401, 560, 561, 720, 1000])
def test_the_number_of_frames_counts_whole_windows(n_samples: int) -> None:
    arrays = np.zeros((2, 1, n_samples), np.float32)
    wanted = len(range(0, n_samples - 401 + 1, 160))
    for compute in (features.log_mel, in_torch, in_jax):
        assert compute(*arrays)[0].shape == (1, wanted, 80)
        assert compute(*arrays)[1].shape == (1, wanted)


def test_a_waveform_shorter_than_a_frame_is_an_error() -> None:
    with pytest.raises(PacebenchError, match="400 samples are too few"):
        features.log_mel(*np.zeros((2, 1, 400), np.float32))
