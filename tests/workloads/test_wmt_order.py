"""The order of the pairs: against slow references, and against TensorFlow Datasets itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.preparing import Progress
from tests.support import REPOSITORY
from tests.workloads.wmt_raw import TINY, quiet, write_unpacked
from workloads.wmt.order import (
    count_shards,
    interleaved,
    read_order,
    record_bytes,
    shard_sizes,
)
from workloads.wmt.raw import find_raw
from workloads.wmt.texts import texts_of

MULTI30K = REPOSITORY.parent / "shared" / "data" / "wmt_de_en" / "multi30k"


def test_pairs_are_sorted_by_the_md5_of_split_and_key() -> None:
    keys = [("a", np.array([0, 1, 3])), ("b", np.array([2, 10]))]
    names = ["a/0/0", "a/0/1", "a/0/3", "b/0/2", "b/0/10"]
    wanted = sorted(range(5), key=lambda i: hashlib.md5(b"train" + names[i].encode()).hexdigest())
    lengths = np.full(5, 9)
    assert read_order("train", keys, [lengths, lengths]).tolist() == wanted


@pytest.mark.parametrize(("n_pairs", "n_shards"), [(100, 1), (700, 4), (1003, 16), (40, 16)])
def test_16_pairs_at_a_time_come_from_each_shard_in_turn(n_pairs: int, n_shards: int) -> None:
    ends = [round(n_pairs * (i + 1) / n_shards) for i in range(n_shards)]
    shards = [list(range(a, b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    wanted = []
    while any(shards):
        for shard in shards:
            wanted += shard[:16]
            del shard[:16]
    assert interleaved(shard_sizes(n_pairs, n_shards)).tolist() == wanted


def field(content: bytes) -> bytes:
    """Write a protocol buffer's field of number 1: tag, length in groups of 7 bits, content."""
    n, length = len(content), bytearray()
    while n > 127:
        length.append(n % 128 + 128)
        n //= 128
    return b"\x0a" + bytes([*length, n]) + content


def test_records_are_as_long_as_serialised_examples() -> None:
    for first, second in ((1, 1), (80, 130), (300, 20_000), (16_384, 5)):
        entries = b""
        for language, n in ((b"de", first), (b"en", second)):
            feature = field(field(b"x" * n))
            entries += field(field(language) + field(feature))
        sizes = record_bytes(np.array([first]), np.array([second]))
        assert sizes.tolist() == [len(field(entries))]


def test_wmt17_has_16_shards() -> None:
    # 1.6 GiB: at least 64 MiB to a shard allows 25, so the next power of two below
    assert count_shards(1_600 << 20, 5_906_184) == 16
    assert count_shards(60 << 20, 1000) == 1


@pytest.mark.full
@pytest.mark.skipif(not MULTI30K.is_dir(), reason="no real text at hand")
@pytest.mark.filterwarnings("default")
def test_tensorflow_datasets_gives_the_same_pairs_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    import gzip

    import tree
    from tensorflow_datasets.translate import wmt17

    raw = write_unpacked(tmp_path / "raw")
    for language in ("de", "en"):  # real text in the place of Europarl
        text = gzip.decompress((MULTI30K / f"train_00001_20000.{language}.gz").read_bytes())
        (raw / f"training/europarl-v7.de-en.{language}").write_bytes(text)

    def unpacked(manager: Any, urls: Any) -> Any:
        return tree.map_structure(lambda url: str(raw), urls)

    subsets = {"train": [part.name for part in TINY.parts["train"]]}
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", unpacked)
    monkeypatch.setattr(wmt17.Wmt17Translate, "subsets", property(lambda builder: subsets))
    builder = wmt17.Wmt17Translate(
        config="de-en", data_dir=tmp_path / "tfds", file_format="array_record"
    )
    builder.download_and_prepare()
    stored = builder.as_data_source(split="train")
    found = find_raw(TINY, raw)
    assert found is not None
    ours = list(texts_of(found, tmp_path, Progress(report=quiet, total_bytes=0))["train"])
    assert len(ours) == 20_060
    assert [(pair["de"], pair["en"]) for pair in (stored[i] for i in range(len(stored)))] == ours
