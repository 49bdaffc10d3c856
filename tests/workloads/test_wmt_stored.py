"""wmt from what TensorFlow Datasets stores: the same bytes as from the archives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from tests.tfds_sets import build, store_as_tfrecords
from tests.workloads.wmt_raw import TINY, contents, manifest_of, quiet, write_unpacked
from workloads.wmt.prepare import needed_bytes, prepare

pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow Datasets' own

WMT17, WMT14 = "wmt17_translate/de-en/1.0.0", "wmt14_translate/de-en/1.0.0"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the archives."""
    return write_unpacked(tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, unpacked: Path) -> Path:
    """A folder in which both data sets are stored."""
    from tensorflow_datasets.translate import wmt14, wmt17

    folder = tmp_path_factory.mktemp("stored")
    subsets = {split: [part.name for part in parts] for split, parts in TINY.parts.items()}
    build(wmt17.Wmt17Translate, unpacked, folder, subsets, config="de-en")
    build(wmt14.Wmt14Translate, unpacked, folder, subsets, config="de-en")
    return folder


@pytest.fixture(scope="module")
def from_files(tmp_path_factory: pytest.TempPathFactory, unpacked: Path) -> dict[str, bytes]:
    """What is prepared from the files themselves."""
    data = tmp_path_factory.mktemp("data")
    prepare(TINY, unpacked, data, quiet)
    return arrays_of(data)


def arrays_of(data: Path) -> dict[str, bytes]:
    """Give the bytes of all files but the manifest, which tells the raw files."""
    found = contents(data / "wmt")
    del found["manifest.json"]
    return found


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_the_same_bytes_come_of_it(
    tmp_path: Path, stored: Path, from_files: dict[str, bytes], file_format: str
) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    if file_format == "tfrecord":
        for name in (WMT17, WMT14):
            store_as_tfrecords(raw / name, {})
    assert needed_bytes(TINY, raw, tmp_path) > 0
    prepare(TINY, raw, tmp_path, quiet)
    assert arrays_of(tmp_path) == from_files
    assert needed_bytes(TINY, raw, tmp_path) == 0
    assert not (tmp_path / "wmt" / ".prepare").exists()


def lines_of(raw: Path, tmp_path: Path) -> list[tuple[bytes, bytes]]:
    """Give the training pairs in the order in which a preparation reads them."""
    from pacebench.preparing import Progress
    from workloads.wmt.raw import find_raw
    from workloads.wmt.texts import texts_of

    found = find_raw(TINY, raw)
    assert found is not None
    tmp_path.mkdir()
    return list(texts_of(found, tmp_path, Progress(report=quiet, total_bytes=1 << 30))["train"])


@pytest.mark.parametrize("sizes", [[40, 60], [33, 1, 49, 17], [1] * 20 + [80]])
def test_shards_are_read_16_pairs_at_a_time_in_turn(
    tmp_path: Path, stored: Path, sizes: Sequence[int]
) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    in_one = lines_of(raw, tmp_path / "one")
    store_as_tfrecords(raw / WMT17, {"train": sizes})
    ends = np.cumsum([0, *sizes]).tolist()
    shards = [in_one[a:b] for a, b in pairwise(ends)]
    wanted = []
    for first in range(0, len(shards), 16):  # no more than 16 shards are open at a time
        group = shards[first : first + 16]
        while any(group):
            for shard in group:
                wanted += shard[:16]
                del shard[:16]
    assert lines_of(raw, tmp_path / "many") == wanted


def test_it_goes_on_where_it_was_interrupted(
    tmp_path: Path, stored: Path, from_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workloads.wmt import prepare as preparing

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "write_all", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(TINY, stored, tmp_path, quiet)
    left = tmp_path / "wmt" / ".prepare"
    times = {path.name: path.stat().st_mtime_ns for path in left.iterdir()}
    assert {name for name in times if name.endswith(".de")}
    seen: list[str] = []
    prepare(TINY, stored, tmp_path, lambda what, done, total: seen.append(what))
    assert arrays_of(tmp_path) == from_files
    assert "training the tokenizer" not in seen


def test_one_data_set_of_two_is_not_enough(tmp_path: Path, stored: Path) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    shutil.rmtree(raw / "wmt14_translate")
    with pytest.raises(DataError, match=r"wmt: .*raw lacks wmt14_translate/de-en/1\.0\.0"):
        prepare(TINY, raw, tmp_path, quiet)


def test_a_text_of_two_lines_is_refused(tmp_path: Path, stored: Path, unpacked: Path) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    store_as_tfrecords(raw / WMT17, {})
    [path] = (raw / WMT17).glob("*-train.tfrecord*")
    content = path.read_bytes()
    assert content.count(b"haus") > 0
    path.write_bytes(content.replace(b"haus", b"ha\ns", 1))
    with pytest.raises(DataError, match=r"train\.tfrecord-00000-of-00001: record \d+ lacks a line"):
        prepare(TINY, raw, tmp_path, quiet)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nor what TensorFlow Datasets stores as wmt17_translate/"):
        prepare(TINY, tmp_path, tmp_path, quiet)


def test_counts_are_those_of_the_description(tmp_path: Path, stored: Path) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    description = raw / WMT17 / "dataset_info.json"
    found = json.loads(description.read_text(encoding="utf-8"))
    [train] = (split for split in found["splits"] if split["name"] == "train")
    train["shardLengths"] = ["101"]
    description.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(DataError, match=r"is damaged or cut off \(100 records, not 101\)"):
        prepare(TINY, raw, tmp_path, quiet)
    assert not (tmp_path / "wmt" / "manifest.json").exists()


def test_the_manifest_counts_as_for_the_files(tmp_path: Path, stored: Path, unpacked: Path) -> None:
    prepare(TINY, stored, tmp_path / "a", quiet)
    prepare(TINY, unpacked, tmp_path / "b", quiet)
    assert manifest_of(tmp_path / "a/wmt")["counts"] == manifest_of(tmp_path / "b/wmt")["counts"]
