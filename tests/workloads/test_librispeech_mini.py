"""The MINI workloads of librispeech: language, files that are written, sizes of the models."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pacebench.plugins import find_workload, resolve
from pacebench.spec import DataRequest
from workloads.librispeech import mini, spoken
from workloads.librispeech.files import find_clips
from workloads.librispeech.sets import SPOKEN
from workloads.librispeech.shapes import n_positions_of

SAMPLE_RATE = 16_000
FEW = {"train-clean-100": 40, "dev-clean": 5, "test-clean": 5}
FEW_SPOKEN = replace(
    SPOKEN,
    n_raw=FEW,
    sizes={"train": 40, "validation": 5, "test": 5},
)


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the set small enough for tests."""
    monkeypatch.setattr(mini, "N_SPOKEN", FEW)
    monkeypatch.setattr(mini, "SPOKEN", FEW_SPOKEN)


def quiet(what: str, done: int, total: int) -> None:
    """Report nothing."""


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.mark.usefixtures("_few")
def test_the_same_files_are_written_every_time_and_kept(tmp_path: Path) -> None:
    for name in ("a", "b"):
        mini.write_mini(tmp_path / name, quiet)
    a, b = (contents(tmp_path / name / SPOKEN.folder) for name in "ab")
    assert a == b
    assert {Path(name).suffix for name in a} == {".int16", ".tsv", ".npz", ".vocab"}
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*")}
    mini.write_mini(tmp_path / "a", quiet)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*")} == before


@pytest.mark.usefixtures("_few")
def test_a_set_of_another_size_or_with_lost_files_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini.write_mini(tmp_path, quiet)
    whole = contents(tmp_path / SPOKEN.folder)
    (tmp_path / SPOKEN.folder / "dev-clean.int16").unlink()
    mini.write_mini(tmp_path, quiet)
    assert contents(tmp_path / SPOKEN.folder) == whole
    more = {**FEW, "dev-clean": 6}
    monkeypatch.setattr(mini, "N_SPOKEN", more)
    monkeypatch.setattr(mini, "SPOKEN", replace(FEW_SPOKEN, n_raw=more))
    mini.write_mini(tmp_path, quiet)
    assert (tmp_path / SPOKEN.folder / "dev-clean.tsv").read_text().count("\n") == 7


@pytest.mark.usefixtures("_few")
def test_every_utterance_has_frames_enough_for_its_tokens(tmp_path: Path) -> None:
    mini.write_mini(tmp_path, quiet)
    for clips in find_clips(FEW_SPOKEN, DataRequest(data_dir=tmp_path)).values():
        for n, first, n_ids in zip(clips.n_samples_N, clips.first_id_N, clips.n_ids_N, strict=True):
            ids = clips.ids[first : first + n_ids]
            n_repeated = sum(a == b for a, b in pairwise(ids))
            assert n_positions_of(int(n), (2, 2)) >= 1.2 * (n_ids + n_repeated)


@pytest.mark.usefixtures("_few")
def test_no_voice_is_heard_in_two_splits(tmp_path: Path) -> None:
    mini.write_tree(tmp_path, quiet)
    speakers = [
        {path.name for path in (tmp_path / "LibriSpeech" / subset).iterdir()} for subset in FEW
    ]
    assert [len(s) for s in speakers] == [4, 1, 1]
    assert len(set.union(*speakers)) == 6


def test_there_are_as_many_words_as_stated_and_no_letter_comes_twice_in_a_row() -> None:
    words = spoken.vocabulary()
    assert len(set(words)) == len(words) == spoken.N_WORDS
    assert all(a != b for word in words for a, b in pairwise(word))
    assert set("".join(words)) == set(spoken.LETTERS)


@pytest.mark.parametrize("letter", spoken.LETTERS)
def test_a_letter_is_loud_at_its_own_two_places(letter: str) -> None:
    who = spoken.Voice(pitch=100.0, throat=1.0, letter_seconds=0.08, noise=0.0)
    samples = spoken.speak(letter, who, np.random.default_rng(0)).astype(float)
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    low, high = divmod(spoken.LETTERS.index(letter), len(spoken.HIGH_PLACES))
    for place, others in (
        (spoken.LOW_PLACES[low], hertz < 950),
        (spoken.HIGH_PLACES[high], hertz >= 950),
    ):
        loudest = hertz[others][power[others].argmax()]
        assert abs(loudest - place) < 0.2 * place + 30  # half the pitch, and how it wavers


def test_samples_stay_within_16_bits_and_speech_is_louder_than_what_is_around_it() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        who = spoken.voice(rng)
        samples = spoken.speak("ALE", who, rng)
        assert samples.dtype == np.int16
        assert np.abs(samples.astype(int)).max() < 32_767
        middle = samples[len(samples) // 3 : len(samples) // 2].astype(float)
        assert middle.std() > 1.3 * samples[:900].astype(float).std()


def subsampling(w: int) -> int:
    """Count two convolutions of w channels and the dense layer over 20 mel bins."""
    return (9 * w + w) + (9 * w * w + w) + (20 * w * w + w)


def conformer_parameters() -> int:
    """Count the Conformer of width 64 and two blocks, with 24 outputs."""
    feed_forward = 64 * 256 + 256 + 256 * 64 + 64 + 128
    attention = 4 * (64 * 64 + 64) + 16 + 128  # with its scales, one for each of a head's 16
    convolution = 3 * (64 * 64 + 64) + 5 * 64 + 2 * 128
    block = 2 * feed_forward + attention + convolution + 128
    return subsampling(64) + 2 * block + 128 + 64 * 24 + 24


def deepspeech_parameters() -> int:
    """Count the DeepSpeech of width 112: two LSTM layers, one feed-forward, with 24 outputs."""
    lstm = 2 * 4 * (112 * 56 + 56 * 56 + 56) + 224
    return subsampling(112) + 2 * lstm + (112 * 112 + 112 + 224) + 224 + 112 * 24 + 24


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("librispeech_conformer_mini", conformer_parameters()),
        ("librispeech_deepspeech_mini", deepspeech_parameters()),
    ],
)
def test_the_small_models_have_as_many_parameters_as_counted(name: str, wanted: int) -> None:
    pytest.importorskip("torch")
    workload = find_workload(name)
    model = resolve(workload.torch_model)(workload.model_config)
    assert sum(p.numel() for p in model.parameters()) == wanted == workload.n_parameters
    assert workload.model_config.vocabulary_size == SPOKEN.n_pieces
    assert workload.model_config.n_samples == SPOKEN.max_samples
