"""The raw download of ogbg-molpcba: OGB's archive, or the folder unpacked from it.

The tables (`workloads.ogbg.stored` gives the same of what TensorFlow Datasets has stored):

<top>/raw/<table>.csv.gz           one line for each molecule, atom or bond; no heads
<top>/split/scaffold/<split>.csv.gz   numbers of molecules, counted from 0
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.ogbg.molecules import ARCHIVE, SPLITS

RAW_FILES = (ARCHIVE,)
N_NODES, N_EDGES = "raw/num-node-list.csv.gz", "raw/num-edge-list.csv.gz"
NODES, EDGES = "raw/node-feat.csv.gz", "raw/edge.csv.gz"
EDGE_FEATURES, LABELS = "raw/edge-feat.csv.gz", "raw/graph-label.csv.gz"
SPLIT_TABLES = {
    "train": "split/scaffold/train.csv.gz",
    "validation": "split/scaffold/valid.csv.gz",
    "test": "split/scaffold/test.csv.gz",
}
TABLES = (N_NODES, N_EDGES, NODES, EDGES, EDGE_FEATURES, LABELS, *SPLIT_TABLES.values())
CHUNK_BYTES = 4 << 20

Rows = tuple[int, NDArray[np.float32]]
"""The number of the first line (from 1), and the values, [rows, columns]; NaN where missing."""


class Tables(Protocol):
    """Raw molecules, as OGB's tables."""

    @property
    def fingerprint(self) -> str:
        """Give a text that changes when the raw files do."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Give the bytes that are read for every table."""

    def name_of(self, table: str) -> str:
        """Name a table in messages."""

    def rows(
        self, table: str, n_columns: int, report_position: Callable[[int], None]
    ) -> Iterator[Rows]:
        """Give a table's rows, piece by piece; raises DataError that names file and line.

        Told on the way: how many bytes were read.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """Where the tables are as files."""

    path: Path
    """The archive, or the folder that holds raw/ and split/."""
    prefix: str
    """In the archive."""
    sizes: dict[str, int]
    """Bytes of every table, packed."""

    @property
    def fingerprint(self) -> str:
        """Give a text that changes when the raw files do: names, sizes and times."""
        if self.path.is_file():
            status = self.path.stat()
            return f"{self.path.name}:{status.st_size}:{status.st_mtime_ns}"
        times = (f"{t}:{n}:{(self.path / t).stat().st_mtime_ns}" for t, n in self.sizes.items())
        return " ".join(times)

    def name_of(self, table: str) -> str:
        """Name a table in messages."""
        return (
            f"{self.path}:{self.prefix}{table}" if self.path.is_file() else f"{self.path}/{table}"
        )

    @contextmanager
    def _open(self, table: str) -> Iterator[IO[bytes]]:
        """Open a table, packed."""
        with ExitStack() as stack:
            if self.path.is_file():
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                yield stack.enter_context(archive.open(self.prefix + table))
            else:
                yield stack.enter_context((self.path / table).open("rb"))

    def rows(
        self, table: str, n_columns: int, report_position: Callable[[int], None]
    ) -> Iterator[Rows]:
        """Give a table's rows, piece by piece; raises DataError that names file and line.

        Told on the way: how many bytes of the packed file were read.
        """
        name, line = self.name_of(table), 1
        with self._open(table) as packed, gzip.GzipFile(fileobj=packed) as plain:
            rest = b""
            while True:
                try:
                    chunk = plain.read(CHUNK_BYTES)
                except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError) as error:
                    raise DataError(
                        f"{name} is damaged behind line {line - 1:,} ({error}); download it again"
                    ) from error
                report_position(packed.tell())
                text = rest + chunk
                end = text.rfind(b"\n") + 1 if chunk else len(text)
                text, rest = text[:end], text[end:]
                if text:
                    values = _parse(
                        text if text.endswith(b"\n") else text + b"\n", n_columns, name, line
                    )
                    yield line, values
                    line += len(values)
                if not chunk:
                    return


def find_raw(raw_dir: Path) -> Raw | None:
    """Find the tables; None if there are none at all. Raises DataError if some are missing."""
    if (raw_dir / ARCHIVE).is_file():
        return _in_archive(raw_dir / ARCHIVE)
    for folder in (raw_dir / "pcba", raw_dir):
        if any((folder / table).is_file() for table in TABLES):
            missing = [table for table in TABLES if not (folder / table).is_file()]
            if missing:
                raise DataError(f"{folder} lacks {', '.join(missing)}")
            sizes = {table: (folder / table).stat().st_size for table in TABLES}
            return Raw(path=folder, prefix="", sizes=sizes)
    return None


def _in_archive(path: Path) -> Raw:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info.file_size for info in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is no whole archive ({error}); download it again") from error
    tops = [name.removesuffix(EDGES) for name in members if name.endswith(EDGES)]
    prefix = tops[0] if tops else "pcba/"
    missing = [table for table in TABLES if prefix + table not in members]
    if missing:
        raise DataError(f"{path} lacks {', '.join(prefix + table for table in missing)}")
    return Raw(path=path, prefix=prefix, sizes={t: members[prefix + t] for t in TABLES})


def read_column(tables: Tables, table: str) -> NDArray[np.int64]:
    """Give a table of one column of whole numbers of 0 or more; raises DataError."""
    parts = [np.empty(0, np.int64)]
    for line, values in tables.rows(table, 1, lambda _position: None):
        parts.append(whole_numbers(values, 1 << 24, tables.name_of(table), line)[:, 0])
    return np.concatenate(parts)


def whole_numbers(
    values: NDArray[np.float32], limit: int, name: str, first_line: int
) -> NDArray[np.int64]:
    """Give the values as integers; raises DataError unless all are whole, from 0 to below limit."""
    is_right = (values >= 0) & (values < limit) & (values == np.floor(values))
    if not is_right.all():
        row, column = (int(i) for i in np.argwhere(~is_right)[0])
        raise DataError(
            f"line {first_line + row:,} of {name}: {values[row, column]:g} in column {column + 1} "
            f"is no whole number from 0 to {limit - 1:,}"
        )
    return values.astype(np.int64)


def _parse(text: bytes, n_columns: int, name: str, first_line: int) -> NDArray[np.float32]:
    """Parse whole lines."""
    from pandas import read_csv
    from pandas.errors import ParserError

    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    commas = np.searchsorted(np.flatnonzero(characters == ord(",")), ends)
    if (np.diff(commas, prepend=0) != n_columns - 1).any():
        raise _bad_line(text, n_columns, name, first_line)
    try:
        values = read_csv(
            io.BytesIO(text), header=None, dtype=np.float32, skip_blank_lines=False, quoting=3
        ).to_numpy()
    except (ValueError, ParserError) as error:
        raise _bad_line(text, n_columns, name, first_line) from error
    if values.shape != (len(ends), n_columns):
        raise _bad_line(text, n_columns, name, first_line)
    return values


def _bad_line(text: bytes, n_columns: int, name: str, first_line: int) -> DataError:
    """Find the line that is wrong and say what is wrong with it."""
    for number, line in enumerate(text.split(b"\n")[:-1], start=first_line):
        fields = line.split(b",")
        where = f"line {number:,} of {name}"
        if len(fields) != n_columns:
            return DataError(f"{where} has {len(fields)} columns, not {n_columns}")
        for field in fields:
            try:
                float(field or b"nan")
            except ValueError:
                return DataError(f"{where}: {field.decode(errors='replace')!r} is no number")
    return DataError(f"{name} cannot be read from line {first_line:,} on")


def check_splits(tables: Tables, n_molecules: int) -> dict[str, NDArray[np.int64]]:
    """Give the molecules of every split, in order; raises DataError.

    A number must be of a molecule, and in no other place of any split.
    """
    splits = {split: read_column(tables, SPLIT_TABLES[split]) for split in SPLITS}
    seen_N = np.zeros(n_molecules, np.bool_)
    for split, indices in splits.items():
        name = tables.name_of(SPLIT_TABLES[split])
        for what, is_wrong in (
            (
                f"there are {n_molecules:,} molecules, and none has this number",
                indices >= n_molecules,
            ),
            ("this molecule is in a split already", _is_repeated(indices, seen_N)),
        ):
            if is_wrong.any():
                line = int(is_wrong.argmax())
                raise DataError(f"line {line + 1:,} of {name}: {indices[line]}; {what}")
        seen_N[indices] = True
        if len(indices) == 0:
            raise DataError(f"{name} is empty")
    return {split: np.sort(indices) for split, indices in splits.items()}


def _is_repeated(indices: NDArray[np.int64], seen_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say of every index whether it was seen, or comes earlier among these."""
    is_first = np.zeros(len(indices), np.bool_)
    is_first[np.unique(indices, return_index=True)[1]] = True
    return ~is_first | seen_N[np.minimum(indices, len(seen_N) - 1)]
