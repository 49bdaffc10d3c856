"""Data sets as TensorFlow Datasets stores them, for workloads' `prepare`; needs no TensorFlow.

Read are `array_record` files and `tfrecord` files, the format of AlgoPerf's own set-up. What reads
them comes with the extra `data`; only this file imports it, and only when it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacebench.errors import DataError

_N_AT_ONCE = 1024
_READABLE = ("array_record", "tfrecord")
# A TFRecord: length, its checksum, content, its checksum (TensorFlow, TFRecord's description).
_HEAD, _FOOT_BYTES = struct.Struct("<QI"), 4


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredShard:
    """One file of a stored split."""

    path: Path
    n_examples: int
    file_format: str
    features: Any
    """What turns a record into arrays."""

    def examples(self, undecoded: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Give the examples as numpy arrays or bytes, in stored order; raises DataError.

        The features `undecoded` come as they are stored, images as files' bytes. A damaged
        array_record is found by its checksums, a damaged tfrecord by its lengths.
        """
        from tensorflow_datasets.core import decode

        decoders = dict.fromkeys(undecoded, decode.SkipDecoding())
        n_read = 0
        read = _array_records if self.file_format == "array_record" else _tf_records
        for record in read(self.path):
            try:
                example = self.features.deserialize_example_np(record, decoders=decoders)
            except Exception as error:  # whatever a damaged record makes of it
                raise _damaged(self.path, f"record {n_read}: {type(error).__name__}") from error
            n_read += 1
            yield example
        if n_read != self.n_examples:
            raise _damaged(self.path, f"{n_read:,} records, not {self.n_examples:,}")


def find_stored(folder: Path, name: str) -> Path | None:
    """Give the folder of a stored data set, such as "wmt17_translate/de-en/1.0.0", if it is there.

    `folder` is TensorFlow Datasets' `data_dir`.
    """
    place = folder / name
    return place if (place / "dataset_info.json").is_file() else None


def open_stored(place: Path) -> dict[str, tuple[StoredShard, ...]]:
    """Give the shards of every split of a stored data set; raises DataError."""
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise DataError(
            f"{place} is a data set of TensorFlow Datasets: pip install 'pacebench[data]' reads it"
        ) from error
    try:
        info = tfds.builder_from_directory(place).info
        file_format = info.file_format.value
        splits = {
            name: tuple(
                StoredShard(
                    path=Path(path), n_examples=n, file_format=file_format, features=info.features
                )
                for path, n in zip(split.filepaths, split.shard_lengths, strict=True)
            )
            for name, split in info.splits.items()
        }
    except Exception as error:  # a damaged description fails in many ways
        raise _damaged(place, _first_line(error)) from error
    if file_format not in _READABLE:
        raise DataError(f"{place} is stored as {file_format}; {' and '.join(_READABLE)} are read")
    for shard in (shard for shards in splits.values() for shard in shards):
        if not shard.path.is_file():
            raise DataError(f"{shard.path} is missing; build the data set again")
    return splits


def _array_records(path: Path) -> Iterator[bytes]:
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path))
        n_records = reader.num_records()
        for start in range(0, n_records, _N_AT_ONCE):
            yield from reader.read(start, min(start + _N_AT_ONCE, n_records))
        reader.close()
    except (RuntimeError, ValueError, IndexError) as error:
        raise _damaged(path, _first_line(error)) from error


def _tf_records(path: Path) -> Iterator[bytes]:
    n_all = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            left = n_all - file.tell()
            n_bytes = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else left
            if n_bytes + _FOOT_BYTES > left:
                raise _damaged(path, "it ends in the middle of a record")
            yield file.read(n_bytes)
            file.read(_FOOT_BYTES)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} is damaged or cut off ({what}); build the data set again")
