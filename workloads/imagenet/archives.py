"""Reads tar archives member by member; no name in them is trusted, and their end must be there."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pacebench.archives import archive_errors, check_tar_end
from pacebench.errors import DataError

# Ours: what may be read into memory at once. The largest image of ImageNet has about 15 MB, the
# devkit's files less than 3 MB.
MAX_MEMBER_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A regular file in an archive."""

    name: str
    where: str
    """The archive's path, for messages."""
    n_bytes: int
    position: int
    """How many bytes of the archive's file had been read at this member."""
    open_stream: Callable[[], IO[bytes]]

    def read(self) -> bytes:
        """Give the member's bytes; raises DataError."""
        if not 0 < self.n_bytes <= MAX_MEMBER_BYTES:
            raise DataError(
                f"{self.where}: {self.name!r} has {self.n_bytes:,} bytes; expected are 1 to "
                f"{MAX_MEMBER_BYTES:,}"
            )
        with archive_errors(self.where), self.open_stream() as stream:
            content = stream.read()
            if len(content) != self.n_bytes:
                raise tarfile.ReadError("unexpected end of data")
            return content


def members_of(archive: Path) -> Iterator[Member]:
    """Give the regular files of an archive in order; raises DataError for anything else in it."""
    mode = "r:gz" if archive.suffix == ".gz" else "r:"
    with archive.open("rb") as file:
        yield from _members(file, mode, str(archive), file.tell)


def members_within(outer: Member) -> Iterator[Member]:
    """Give the regular files of an archive that is a member of another."""
    start = outer.position
    with outer.open_stream() as stream:
        where = f"{outer.where}: {outer.name}"
        yield from _members(stream, "r:", where, lambda: start + stream.tell())


def _members(
    file: IO[bytes], mode: str, where: str, position: Callable[[], int]
) -> Iterator[Member]:
    with archive_errors(where), tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
        for info in tar:
            if info.size < 0:
                raise tarfile.ReadError("a negative size")
            name = _checked_name(info, where)
            if info.isdir() or PurePosixPath(name).name.startswith("."):
                continue  # folders come with their files; hidden files are an operating system's
            if not info.isreg() or info.issparse():
                raise DataError(f"{where}: {info.name!r} is not a regular file")
            yield Member(
                name=name,
                where=where,
                n_bytes=info.size,
                position=position(),
                open_stream=_opener(tar, info),
            )
        check_tar_end(tar)


def _opener(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_stream() -> IO[bytes]:
        stream = tar.extractfile(info)
        assert stream is not None  # it is a regular file
        return stream

    return open_stream


def _checked_name(info: tarfile.TarInfo, where: str) -> str:
    """Give a member's name without "./"; refuses what would lead out of a folder."""
    name = PurePosixPath(info.name)
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{where}: the name {info.name!r} leads out of the archive's folder")
    return str(name)
