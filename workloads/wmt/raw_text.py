"""Raw files as lines: unpacked where they are packed, checked, and readable at any line.

Lines end in a newline and nothing else (TensorFlow Datasets' rule: the text holds other
separators). SGML files have their segments as lines; entities stay as they are.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pacebench.archives import archive_errors
from pacebench.errors import DataError
from pacebench.tfds_records import StoredShard
from workloads.wmt.raw import RawFile

CHUNK_BYTES = 1 << 24
# TensorFlow Datasets, translate/wmt.py: matched at the start of a line.
SEGMENT = re.compile(rb'<seg id="\d+">(.*)</seg>')
PositionReport = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """The lines of a file."""

    name: str
    """Of the raw file, for messages."""
    data: NDArray[np.uint8]
    ends_N: NDArray[np.int64]
    """Where each line's newline is."""

    def __len__(self) -> int:
        """Count the lines."""
        return len(self.ends_N)

    def lengths(self) -> NDArray[np.int64]:
        """Give the bytes of every line, without newline; shape N."""
        return np.diff(self.ends_N, prepend=-1) - 1

    def at(self, lines: Sequence[int] | NDArray[np.int64]) -> list[bytes]:
        """Give these lines, without newline."""
        wanted = np.asarray(lines, np.int64)
        ends = self.ends_N[wanted]
        starts = np.where(wanted > 0, self.ends_N[wanted - 1] + 1, 0)
        view = memoryview(self.data)  # type: ignore[arg-type]
        return [bytes(view[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]


def unpack(files: Sequence[tuple[RawFile, Path]], report_position: PositionReport) -> None:
    """Write the plain lines of files that are all in one archive, shard or packed file.

    `report_position` is told where in the packed file it is. Raises DataError.
    """
    path = files[0][0].path
    shard = files[0][0].shard
    if shard is not None:
        _unpack_shard(shard, {raw.member: place for raw, place in files})
        return
    with archive_errors(path):
        if files[0][0].member:
            _unpack_archive(path, {raw.member: place for raw, place in files}, report_position)
        else:
            with path.open("rb") as packed:
                _write_lines(_opened(packed, path.suffix), files[0][1], ".sgm" in path.suffixes)
                report_position(packed.tell())


def read_lines(path: Path, name: str, report_position: PositionReport) -> Lines:
    """Read where the lines of a plain file end; raises DataError if it is empty or not UTF-8."""
    if path.stat().st_size == 0:
        raise DataError(f"{name} is empty")
    data = np.asarray(np.memmap(path, np.uint8, "r"))
    ends = []
    start = 0
    while start < len(data):
        chunk = data[start : start + CHUNK_BYTES]
        found = np.flatnonzero(chunk == ord("\n"))
        is_last = start + len(chunk) == len(data)
        stop = len(chunk) if is_last else _last_line(found, name, start) + 1
        try:
            chunk[:stop].tobytes().decode("utf-8")
        except UnicodeDecodeError as error:
            line = sum(map(len, ends)) + int(np.searchsorted(found, error.start)) + 1
            raise DataError(
                f"{name}, line {line:,}, is not UTF-8 ({error.reason}); repair the file or "
                "download it again"
            ) from error
        ends.append(found[found < stop].astype(np.int64) + start)
        start += stop
        report_position(start)
    if data[-1] != ord("\n"):
        ends.append(np.array([len(data)], np.int64))
    return Lines(name=name, data=data, ends_N=np.concatenate(ends))


def _last_line(found: NDArray[np.int64], name: str, start: int) -> int:
    if not len(found):
        raise DataError(f"{name} has a line of more than {CHUNK_BYTES:,} bytes at byte {start:,}")
    return int(found[-1])


def _opened(packed: IO[bytes], suffix: str) -> IO[bytes]:
    return gzip.GzipFile(fileobj=packed) if suffix == ".gz" else packed  # type: ignore[return-value]


def _unpack_archive(path: Path, places: dict[str, Path], report_position: PositionReport) -> None:
    """Write the members named, in one pass over the archive."""
    missing = dict(places)
    with (
        path.open("rb") as packed,
        # gzip's own, which tells a file that is cut off; tarfile's takes it for the end
        gzip.GzipFile(fileobj=packed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        for member in archive:
            report_position(packed.tell())
            name = member.name.removeprefix("./")
            if name in missing:
                content = archive.extractfile(member)
                if content is None:
                    raise DataError(f"{path}: {name} is not a file")
                _write_lines(content, missing.pop(name), name.endswith(".sgm"))
            if not missing:
                return
    raise DataError(f"{path} lacks {' and '.join(missing)}")


def _unpack_shard(shard: StoredShard, places: dict[str, Path]) -> None:
    """Write the lines of every language of a shard."""
    with ExitStack() as stack:
        files = {
            language: stack.enter_context(place.with_name(place.name + ".part").open("wb"))
            for language, place in places.items()
        }
        for number, example in enumerate(shard.examples()):
            for language, file in files.items():
                text = example.get(language)
                if text is None or b"\n" in text:
                    raise DataError(f"{shard.path}: record {number} lacks a line {language!r}")
                file.write(text + b"\n")
        for file in files.values():
            _sync(file)
    for place in places.values():
        place.with_name(place.name + ".part").replace(place)


def _write_lines(content: IO[bytes], place: Path, is_sgml: bool) -> None:
    """Write the lines of an open file as a whole: aside, then into place."""
    aside = place.with_name(place.name + ".part")
    with aside.open("wb") as file:
        if is_sgml:
            found = (SEGMENT.match(line) for line in content)
            file.writelines(match[1] + b"\n" for match in found if match)
        else:
            shutil.copyfileobj(content, file, CHUNK_BYTES)
        _sync(file)
    aside.replace(place)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
