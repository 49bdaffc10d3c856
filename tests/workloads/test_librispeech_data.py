"""librispeech: what is read from prepared files, and what is said where they are not right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from tests.support import REPOSITORY
from tests.workloads.librispeech_raw import (
    TEXTS,
    TINY,
    all_of,
    lengths_of,
    prepared,
    write_tree,
)
from workloads.librispeech.data import open_metric, open_sources
from workloads.librispeech.files import find_sizes
from workloads.librispeech.prepare import prepare
from workloads.librispeech.sets import LIBRISPEECH

REAL = REPOSITORY.parent / "shared" / "data" / "librispeech" / "LibriSpeech" / "test-other"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("librispeech")
    return prepared(write_tree(folder / "raw"), folder / "data")


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    (tmp_path / "librispeech").mkdir()
    for path in (whole / "librispeech").iterdir():
        if path.is_file():
            (tmp_path / "librispeech" / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_arrays_have_the_stated_shapes_and_types(whole: Path) -> None:
    batch = all_of(whole, "train")
    assert set(batch) == {"inputs", "targets"}
    for name, shape, types in (
        ("inputs", (6, 4_000), ("float32", "float32")),
        ("targets", (6, 21), ("int32", "float32")),
    ):
        assert [a.shape for a in batch[name]] == [shape] * 2
        assert tuple(str(a.dtype) for a in batch[name]) == types
    assert batch["inputs"][0].min() == -1.0
    assert batch["inputs"][0].max() == np.float32(32767 / 32768)


def test_sizes_count_what_is_kept_and_the_subset_of_training_is_fixed(whole: Path) -> None:
    request = DataRequest(data_dir=whole)
    sizes = {"train": 6, "eval_train": 4, "validation": 2, "test": 2}
    assert find_sizes(TINY, request) == sizes
    sources = open_sources(TINY, request)
    assert {split: source.size for split, source in sources.items()} == sizes
    first, second = (all_of(whole, "eval_train")["inputs"][0] for _ in range(2))
    assert np.array_equal(first, second)
    rows = {row.tobytes() for row in all_of(whole, "train")["inputs"][0]}
    assert {row.tobytes() for row in first} < rows


def test_threads_batches_and_seeds_change_nothing(whole: Path) -> None:
    one = all_of(whole, "train")
    many = all_of(whole, "train", n_threads=3)
    source = open_sources(TINY, DataRequest(data_dir=whole))["train"]
    for name in one:
        for a, b in zip(one[name], many[name], strict=True):
            assert np.array_equal(a, b)
        row = source.read(np.array([4]), np.array([7], np.uint64))[name]
        assert np.array_equal(row[0][0], one[name][0][4])


def test_the_data_folder_itself_may_be_named(whole: Path) -> None:
    request = DataRequest(data_dir=whole / "librispeech")
    assert find_sizes(TINY, request)["train"] == 6
    metric = open_metric(TINY, request)
    assert metric.tokenizer.decode([[2]]) == [""]


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("spm_model.vocab"), r"no spm_model\.vocab in .*README"),
        (_without("dev-clean.tsv"), r"no .*dev-clean\.tsv \(--allow-partial-data does without\)"),
        (_without("dev-clean.int16"), r"dev-clean\.int16 has 0 bytes, not the .*prepare again"),
        (_without("dev-clean.tokens.npz"), r"dev-clean\.tokens\.npz cannot be read.*prepare again"),
        (_cut("dev-clean.tokens.npz"), r"dev-clean\.tokens\.npz cannot be read.*prepare again"),
        (_cut("dev-clean.int16"), r"dev-clean\.int16 has .* bytes, not the .*prepare again"),
        (_cut("dev-clean.tsv"), r"dev-clean\.tsv is damaged .*prepare again"),
    ],
)
def test_files_that_are_missing_or_cut_are_named(
    spoil: Callable[[Path], object], said: str, data: Path
) -> None:
    spoil(data / "librispeech")
    with pytest.raises(DataError, match=said):
        find_sizes(TINY, DataRequest(data_dir=data))


def test_tokens_of_another_manifest_are_named(data: Path) -> None:
    folder = data / "librispeech"
    (folder / "dev-clean.tokens.npz").write_bytes((folder / "test-clean.tokens.npz").read_bytes())
    with pytest.raises(DataError, match=r"dev-clean\.tokens\.npz does not belong to"):
        find_sizes(TINY, DataRequest(data_dir=data))


def test_an_interrupted_subset_is_named(data: Path) -> None:
    (data / "librispeech/.prepare").mkdir()
    (data / "librispeech/.prepare/dev-other.journal").write_text("raw\n")
    (data / "librispeech/dev-other.tsv").unlink()
    with pytest.raises(DataError, match=r"dev-other\.int16 is not whole: .*was interrupted there"):
        find_sizes(TINY, DataRequest(data_dir=data, allow_partial=True))


def test_no_folder_is_one_line() -> None:
    with pytest.raises(DataError, match="librispeech needs --data-dir DIR"):
        find_sizes(TINY, DataRequest())


def test_fewer_utterances_or_subsets_need_permission(data: Path) -> None:
    more = dataclasses.replace(TINY, n_raw={**TINY.n_raw, "train-other-500": 3})
    with pytest.raises(
        DataError, match=r"train-other-500\.tsv has 2 utterances of the 3 published"
    ):
        find_sizes(more, DataRequest(data_dir=data))
    request = DataRequest(data_dir=data, allow_partial=True)
    assert find_sizes(more, request)["train"] == 6
    (data / "librispeech/train-other-500.tsv").unlink()
    assert find_sizes(TINY, request)["train"] == 4
    (data / "librispeech/test-clean.tsv").unlink()
    with pytest.raises(DataError, match="has no utterance of test"):
        find_sizes(TINY, request)


def test_targets_beyond_the_limit_are_left_out(data: Path) -> None:
    fewer = dataclasses.replace(TINY, max_tokens=12)
    lengths = np.array(lengths_of(all_of(data, "train")["targets"][1]))
    n_short = int((lengths <= 12).sum())
    assert 0 < n_short < 6
    assert find_sizes(fewer, DataRequest(data_dir=data))["train"] == n_short


def test_the_published_numbers_are_those_of_algoperf() -> None:
    # facts_speech_dev.md, sections 1.1 to 1.4.
    assert sum(LIBRISPEECH.n_raw.values()) == 28539 + 104014 + 148688 + 2703 + 2864 + 2620
    assert dict(LIBRISPEECH.sizes) == {"train": 263840, "validation": 5348, "test": 2472}
    assert (LIBRISPEECH.max_samples, LIBRISPEECH.max_tokens) == (320_000, 256)
    assert (LIBRISPEECH.max_characters, LIBRISPEECH.n_pieces) == (256, 1024)
    assert LIBRISPEECH.n_eval_train == 5376
    assert set(TINY.n_raw) == set(TEXTS)


def test_real_recordings_are_prepared_and_read(tmp_path: Path) -> None:
    """Fifty real utterances stand for every subset."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not there: real recordings are kept beside the repo")
    speaker = next(iter(sorted(REAL.iterdir())))
    for subset in LIBRISPEECH.all_subsets:
        folder = tmp_path / "raw" / "LibriSpeech" / subset
        folder.mkdir(parents=True)
        (folder / speaker.name).symlink_to(speaker)
    prepare(tmp_path / "raw", tmp_path / "data", lambda *words: None)
    request = DataRequest(data_dir=tmp_path / "data", allow_partial=True)
    sources = open_sources(LIBRISPEECH, request)
    batch = sources["validation"].read(np.arange(2), np.zeros(2, np.uint64))
    chapter = next(speaker.glob("*/*.trans.txt"))
    wanted = [line.split(" ", 1)[1] for line in chapter.read_text().splitlines()[:2]]
    tokenizer = open_metric(LIBRISPEECH, request).tokenizer
    ids_BL, paddings_BL = batch["targets"]
    ids = [row[padding == 0] for row, padding in zip(ids_BL, paddings_BL, strict=True)]
    assert tokenizer.decode(ids) == wanted
    assert 0.05 < np.abs(batch["inputs"][0]).max() <= 1
