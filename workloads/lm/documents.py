"""Reads the documents of raw files: JSON lines, plain text or Parquet, from any place on.

- `.jsonl`: an object a line, whose "text" is the document
- `.txt`: documents divided by empty lines
- `.parquet`: a row a document, in the column "text" (as Hugging Face publishes FineWeb-Edu)

All is UTF-8. A document without a character is counted and left out (AlgoPerf v1.0).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pacebench.errors import DataError

COLUMN = "text"
# Text of a block, after which `prepare` may be interrupted without loss.
BLOCK_BYTES = 1 << 25


class Place(NamedTuple):
    """Where reading goes on in a file."""

    position: int = 0
    """In bytes; in Parquet, in row groups."""
    row: int = 0
    """Lines or rows before it."""


BEGINNING = Place()


@dataclass(kw_only=True, slots=True)
class Block:
    """Some documents that follow each other in a file."""

    texts: list[str] = field(default_factory=list)
    n_empty: int = 0
    n_bytes: int = 0
    stop: Place = BEGINNING
    """Where the next block begins."""

    def add(self, text: str, path: Path, what: str) -> None:
        """Take in a document; `what` names its line or row. Raises DataError."""
        if not text:
            self.n_empty += 1
            return
        try:
            self.n_bytes += len(text.encode())
        except UnicodeEncodeError as error:
            raise _wrong(path, what, f"holds half a character ({error.reason})") from error
        self.texts.append(text)


def read_blocks(
    path: Path, start: Place = BEGINNING, n_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Give a file's documents from `start` on, in blocks of about `n_bytes`; raises DataError."""
    return READERS[path.suffix](path, start, n_bytes)


def text_bytes(path: Path) -> int:
    """Give about how many bytes of text a file holds; raises DataError."""
    if path.suffix != ".parquet":
        return path.stat().st_size
    metadata = _open_parquet(path).metadata
    column = metadata.schema.names.index(COLUMN)
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(i).column(column).total_uncompressed_size for i in groups)


def _read_json_lines(path: Path, start: Place, n_bytes: int) -> Iterator[Block]:
    block = Block(stop=start)
    with path.open("rb") as file:
        file.seek(start.position)
        for row, raw in enumerate(file, start.row + 1):
            what = f"line {row:,}"
            line = _decoded(raw, path, what)
            block.add(_text_of(line, path, what) if line.strip() else "", path, what)
            block.stop = Place(block.stop.position + len(raw), row)
            if block.n_bytes >= n_bytes:
                yield block
                block = Block(stop=block.stop)
    yield block


def _text_of(line: str, path: Path, what: str) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise _wrong(path, what, f"is not JSON ({error.msg} at column {error.colno})") from error
    except RecursionError as error:
        raise _wrong(path, what, "is JSON nested too deep") from error
    text = record.get(COLUMN) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise _wrong(path, what, f'is no object with a string "{COLUMN}"')
    return text


def _read_plain_text(path: Path, start: Place, n_bytes: int) -> Iterator[Block]:
    block, lines, position = Block(stop=start), [], start.position
    with path.open("rb") as file:
        file.seek(start.position)
        for row, raw in enumerate(file, start.row + 1):
            what = f"line {row:,}"
            position += len(raw)
            line = _decoded(raw, path, what)
            if line.strip():
                lines.append(line)
                continue
            if lines:
                block.add("".join(lines), path, what)
                lines = []
            block.stop = Place(position, row)
            if block.n_bytes >= n_bytes:
                yield block
                block = Block(stop=block.stop)
    if lines:
        block.add("".join(lines), path, "the last document")
    block.stop = Place(position, block.stop.row)
    yield block


def _read_parquet(path: Path, start: Place, n_bytes: int) -> Iterator[Block]:
    import pyarrow

    file = _open_parquet(path)
    block = Block(stop=start)
    for group in range(start.position, file.num_row_groups):
        first = block.stop.row + 1
        rows = f"rows {first:,} to {first + file.metadata.row_group(group).num_rows - 1:,}"
        try:
            column = file.read_row_group(group, columns=[COLUMN]).column(COLUMN)
        except (pyarrow.ArrowException, OSError) as error:
            raise _wrong(path, rows, f"cannot be read ({_first_line(error)})") from error
        row = first
        for value in column:
            what = f"row {row:,}"
            try:
                text = value.as_py()
            except UnicodeDecodeError as error:
                raise _wrong(path, what, f"is not UTF-8 ({error.reason})") from error
            block.add(text or "", path, what)
            row += 1
        block.stop = Place(group + 1, row - 1)
        if block.n_bytes >= n_bytes:
            yield block
            block = Block(stop=block.stop)
    yield block


def _open_parquet(path: Path) -> Any:
    """Open a file with a column of text; raises DataError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise DataError(
            f"{path} is a Parquet file, which pyarrow reads: pip install pyarrow"
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is cut off or damaged ({_first_line(error)}); download it again"
        ) from error
    schema = file.schema_arrow
    kinds = (pyarrow.string(), pyarrow.large_string())
    if COLUMN not in schema.names or schema.field(COLUMN).type not in kinds:
        raise DataError(
            f"{path} has no column '{COLUMN}' of strings (it has {', '.join(schema.names)})"
        )
    return file


def _decoded(raw: bytes, path: Path, what: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(path, what, f"is not UTF-8 ({error.reason})") from error


def _wrong(path: Path, what: str, why: str) -> DataError:
    return DataError(f"{path}, {what}, {why}; repair the file or download it again")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


READERS: dict[str, Callable[[Path, Place, int], Iterator[Block]]] = {
    ".jsonl": _read_json_lines,
    ".txt": _read_plain_text,
    ".parquet": _read_parquet,
}
