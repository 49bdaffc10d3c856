"""Small data sets stored by TensorFlow Datasets' own builders, from raw files that lie at hand."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pacebench.tfds_records import open_stored


def build(
    builder_class: Any,
    unpacked: Path,
    data_dir: Path,
    subsets: Mapping[str, Sequence[str]] | None = None,
    **arguments: Any,
) -> Path:
    """Store a data set from a folder of unpacked files; gives its folder."""
    with pytest.MonkeyPatch.context() as patch:
        import tensorflow_datasets as tfds
        from etils import epath

        def at_hand(manager: Any, urls: Any) -> Any:
            if isinstance(urls, dict):
                return {name: at_hand(manager, url) for name, url in urls.items()}
            if isinstance(urls, list | tuple):
                return [at_hand(manager, url) for url in urls]
            return epath.Path(unpacked)

        patch.setattr(tfds.download.DownloadManager, "download_and_extract", at_hand)
        if subsets is not None:
            patch.setattr(builder_class, "subsets", property(lambda builder: subsets))
        builder = builder_class(data_dir=data_dir, file_format="array_record", **arguments)
        builder.download_and_prepare()
        return Path(builder.data_dir)


def store_as_tfrecords(place: Path, sizes: Mapping[str, Sequence[int]]) -> None:
    """Turn a stored data set's files into tfrecord files with these numbers of records."""
    description = place / "dataset_info.json"
    found = json.loads(description.read_text(encoding="utf-8"))
    found["fileFormat"] = "tfrecord"
    shards = open_stored(place)
    for split in found["splits"]:
        name = split["name"]
        records = [record for shard in shards[name] for record in _records(shard.path)]
        wanted = sizes.get(name, [len(records)])
        assert sum(wanted) == len(records)
        split["shardLengths"] = [str(n) for n in wanted]
        ends = [sum(wanted[:i]) for i in range(len(wanted) + 1)]
        for i, (start, stop) in enumerate(pairwise(ends)):
            path = place / f"{found['name']}-{name}.tfrecord-{i:05d}-of-{len(wanted):05d}"
            path.write_bytes(b"".join(_framed(record) for record in records[start:stop]))
        for shard in shards[name]:
            shard.path.unlink()
    description.write_text(json.dumps(found), encoding="utf-8")


def _records(path: Path) -> list[bytes]:
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(path))
    try:
        return list(reader.read_all())
    finally:
        reader.close()


def _framed(record: bytes) -> bytes:
    """Give a TFRecord: length, its checksum (left 0), content, its checksum (left 0)."""
    return struct.pack("<QI", len(record), 0) + record + struct.pack("<I", 0)
