"""The prepared form of a click log: shards of parsed rows, written once and read by memory map.

A shard `<name>.rows` holds what one file of AlgoPerf's holds (`day_<d>_<NN>`), in groups of 65,536
rows, the last one shorter. In a group of n rows the columns lie one behind the other, little
endian: 13 times n float32 (logarithms of the numbers), then every category's n ids, those of 4
bytes first, then 2, then 1 (`workloads.criteo.columns.STORED_COLUMNS`), then n labels of one byte.
That makes 113 bytes a row, and no header. `<name>.json` beside it is written last: it holds the
number of rows, the crc32 of the shard, and of which raw file and where in it the rows came.

Letters: N rows, D numbers (13), B rows of a batch.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.criteo.columns import ID_TYPES, N_NUMBERS, ROW_BYTES, STORED_COLUMNS
from workloads.criteo.parse import Rows

GROUP_ROWS = 1 << 16
GROUP_BYTES = GROUP_ROWS * ROW_BYTES
SUFFIX = ".rows"
_CHECK_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What is known of a finished shard."""

    n_rows: int
    crc32: int
    raw: str
    """The raw file: name, bytes and time of change."""
    start: int
    stop: int
    """Where in the raw file (unpacked) its lines begin and end."""
    is_last: bool
    """Whether the raw file ends with it."""


def note_path(shard: Path) -> Path:
    """Give where a shard's note is."""
    return shard.with_suffix(".json")


def read_note(shard: Path) -> Note | None:
    """Give the note of a finished shard, None if there is none; raises DataError."""
    path = note_path(shard)
    try:
        note = Note(**json.loads(path.read_text(encoding="ascii")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and prepare again") from error
    n_bytes = shard.stat().st_size if shard.is_file() else 0
    if n_bytes != note.n_rows * ROW_BYTES:
        raise DataError(
            f"{shard} has {n_bytes:,} bytes, not the {note.n_rows * ROW_BYTES:,} of its "
            f"{note.n_rows:,} rows; delete {path.name} and prepare again"
        )
    return note


class ShardWriter:
    """Writes one shard group by group, aside, until it is finished."""

    def __init__(self, shard: Path) -> None:
        self.n_rows = 0
        self._shard = shard
        self._aside = shard.with_suffix(".part")
        self._file: BinaryIO = self._aside.open("wb")
        self._crc = 0
        self._parts: list[Rows] = []
        self._n_waiting = 0

    def write(self, rows: Rows) -> None:
        """Take rows in; they are written when a group is full."""
        start, n = 0, len(rows.labels_N)
        self.n_rows += n
        while start < n:
            stop = min(n, start + GROUP_ROWS - self._n_waiting)
            self._parts.append(_part(rows, start, stop))
            self._n_waiting += stop - start
            start = stop
            if self._n_waiting == GROUP_ROWS:
                self._write_group()

    def finish(self, *, raw: str, start: int, stop: int, is_last: bool) -> None:
        """Write what is left, give the shard its name, and write its note."""
        self._write_group()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        note = Note(
            n_rows=self.n_rows, crc32=self._crc, raw=raw, start=start, stop=stop, is_last=is_last
        )
        self._aside.replace(self._shard)
        aside = note_path(self._shard).with_suffix(".note")
        aside.write_text(json.dumps(asdict(note)), encoding="ascii")
        aside.replace(note_path(self._shard))

    def abandon(self) -> None:
        """Delete what was written."""
        self._file.close()
        self._aside.unlink(missing_ok=True)

    def _write_group(self) -> None:
        if not self._n_waiting:
            return
        numbers_DN = np.concatenate([part.numbers_DN for part in self._parts], axis=1)
        columns = [numbers_DN.astype("<f4")]
        for column in STORED_COLUMNS:
            stored = ID_TYPES[column].newbyteorder("<")
            ids_N = [part.ids_CN[column].astype(stored) for part in self._parts]
            columns.append(np.concatenate(ids_N))
        columns.append(np.concatenate([part.labels_N for part in self._parts]))
        for values in columns:
            data = values.tobytes()
            self._crc = zlib.crc32(data, self._crc)
            self._file.write(data)
        self._parts, self._n_waiting = [], 0


class ShardReader:
    """Copies rows of a shard into batches; nothing is read before."""

    def __init__(self, shard: Path, n_rows: int) -> None:
        self._data: NDArray[np.uint8] = np.memmap(shard, np.uint8, mode="r")
        self._n_rows = n_rows
        if self._data.size != n_rows * ROW_BYTES:
            raise DataError(f"{shard} has {self._data.size:,} bytes, not {n_rows * ROW_BYTES:,}")

    def read(
        self,
        rows: slice | NDArray[np.int64],
        inputs_BF: NDArray[np.float32],
        targets_B1: NDArray[np.float32],
    ) -> None:
        """Write rows, given as a slice or as increasing indices, to arrays of as many rows."""
        done = 0
        for group, part in _by_group(rows):
            columns = self._columns(group)
            n = (part.stop - part.start) if isinstance(part, slice) else len(part)
            inputs, targets = inputs_BF[done : done + n], targets_B1[done : done + n]
            for place, column_N in columns.items():
                inputs[:, place] = column_N[part]
            labels_N = self._labels(group)
            targets[:, 0] = labels_N[part]
            done += n

    def _span(self, group: int) -> tuple[int, int]:
        """Give where a group begins, in bytes, and how many rows it has."""
        return group * GROUP_BYTES, min(GROUP_ROWS, self._n_rows - group * GROUP_ROWS)

    def _columns(self, group: int) -> dict[int, NDArray[Any]]:
        """Give the columns of a group by their places in an example."""
        offset, n = self._span(group)
        columns: dict[int, NDArray[Any]] = {}
        for number in range(N_NUMBERS):
            columns[number] = self._data[offset : offset + 4 * n].view("<f4")
            offset += 4 * n
        for column in STORED_COLUMNS:
            stored = ID_TYPES[column].newbyteorder("<")
            stop = offset + n * stored.itemsize
            columns[N_NUMBERS + column] = self._data[offset:stop].view(stored)
            offset = stop
        return columns

    def _labels(self, group: int) -> NDArray[np.uint8]:
        offset, n = self._span(group)
        return self._data[offset + n * (ROW_BYTES - 1) : offset + n * ROW_BYTES]


def _by_group(rows: slice | NDArray[np.int64]) -> Iterator[tuple[int, slice | NDArray[np.int64]]]:
    """Cut rows at the borders of groups; those given are counted within their group."""
    if isinstance(rows, slice):
        start = rows.start
        while start < rows.stop:
            group, first = divmod(start, GROUP_ROWS)
            stop = min(rows.stop, (group + 1) * GROUP_ROWS)
            yield group, slice(first, first + stop - start)
            start = stop
        return
    groups_B = rows // GROUP_ROWS
    for group in np.unique(groups_B).tolist():
        yield group, rows[groups_B == group] - group * GROUP_ROWS


def _part(rows: Rows, start: int, stop: int) -> Rows:
    return Rows(
        labels_N=rows.labels_N[start:stop],
        numbers_DN=rows.numbers_DN[:, start:stop],
        ids_CN=rows.ids_CN[:, start:stop],
    )
