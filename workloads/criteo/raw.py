"""The raw click logs as they lie in a folder: whole days or AlgoPerf's files, packed or not.

A day is one file `day_<d>.gz` (as downloaded) or `day_<d>`, or AlgoPerf's files `day_<d>_<NN>`.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pacebench.errors import DataError
from workloads.criteo.clicks import ClickLog

_NAME = re.compile(r"day_(0|[1-9][0-9]*)(?:_([0-9]{2,}))?(\.gz)?")
BLOCK_BYTES = 3 << 20
"""About 14,000 lines: the working memory of parsing them stays in a processor's cache."""
_SAMPLE_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """A file of click logs."""

    path: Path
    day: int
    part: int | None
    """None where the file holds a whole day."""
    is_packed: bool
    n_bytes: int
    identity: str
    """Its name, size and time of change."""


def find_raw(log: ClickLog, raw_dir: Path) -> list[RawFile]:
    """Give the raw files of a folder, sorted; raises DataError where two hold the same."""
    found: dict[tuple[int, int | None], RawFile] = {}
    for path in sorted(raw_dir.iterdir()):
        matched = _NAME.fullmatch(path.name)
        if not matched or not path.is_file():
            continue
        day, part = int(matched[1]), None if matched[2] is None else int(matched[2])
        if day > log.n_train_days:
            raise DataError(f"{path}: {log.name} has days 0 to {log.n_train_days}")
        for other in (part, None):
            if (day, other) in found:
                raise DataError(f"{path} holds the same as {found[day, other].path.name}")
        status = path.stat()
        found[day, part] = RawFile(
            path=path,
            day=day,
            part=part,
            is_packed=matched[3] is not None,
            n_bytes=status.st_size,
            identity=f"{path.name} {status.st_size} {status.st_mtime_ns}",
        )
    return [found[key] for key in sorted(found, key=lambda k: (k[0], -1 if k[1] is None else k[1]))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Whole lines of a raw file."""

    data: bytes
    stop: int
    """Where they end in the (unpacked) file."""
    position: int
    """How much of the file on the disk was read so far."""


def read_blocks(raw: RawFile, start: int, n_bytes: int = BLOCK_BYTES) -> Generator[Block]:
    """Give the lines from a place (unpacked) on, in blocks of about `n_bytes`.

    Raises DataError with the file's name where it cannot be unpacked to its end.
    """
    with raw.path.open("rb") as packed, _unpacked(raw, packed) as file, unpacking_errors(raw):
        file.seek(start)
        rest = b""
        while True:
            data = file.read(n_bytes)
            cut = data.rfind(b"\n") + 1
            if not data:
                break
            if not cut:
                rest += data
                continue
            lines = rest + data[:cut]
            rest = data[cut:]
            start += len(lines)
            yield Block(data=lines, stop=start, position=packed.tell())
        if rest:  # the last line may lack its end
            yield Block(data=rest + b"\n", stop=start + len(rest), position=packed.tell())


def count_lines(raw: RawFile) -> int:
    """Estimate a file's lines from its begin; raises DataError."""
    with raw.path.open("rb") as packed, _unpacked(raw, packed) as file, unpacking_errors(raw):
        n_lines = file.read(_SAMPLE_BYTES).count(b"\n")
        n_read = packed.tell()
        is_all = not file.read(1)
    return n_lines + 1 if is_all else -(-n_lines * raw.n_bytes // n_read)


@contextmanager
def unpacking_errors(raw: RawFile) -> Iterator[None]:
    """Turn what unpacking raises into a DataError that names the file."""
    try:
        yield
    except EOFError as error:
        raise DataError(f"{raw.path} ends in the middle of its data: download it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{raw.path} is damaged ({error}): download it again") from error


@contextmanager
def _unpacked(raw: RawFile, packed: BinaryIO) -> Iterator[BinaryIO]:
    if not raw.is_packed:
        yield packed
        return
    with gzip.GzipFile(fileobj=packed) as file:
        yield cast(BinaryIO, file)


def usable_cores() -> int:
    """Give how many cores this process may use."""
    return len(os.sched_getaffinity(0))
