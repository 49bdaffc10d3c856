"""The raw download of LibriSpeech in its real layout: tar.gz archives, or the tree they unpack to.

An archive <subset>.tar.gz holds LibriSpeech/<subset>/<speaker>/<chapter>/ with one FLAC file for
each utterance and one <speaker>-<chapter>.trans.txt. No name in an archive becomes a path.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pacebench.archives import archive_errors, check_tar_end
from pacebench.errors import DataError

UTTERANCE = re.compile(r"\d+-\d+-\d+")
AUDIO_SUFFIX = ".flac"
TRANSCRIPT_SUFFIX = ".trans.txt"
TREE = "LibriSpeech"
# Ours: what is read into memory at once. The longest utterance has 35 seconds, about 1.1 MB.
MAX_FILE_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """A FLAC file or a file of transcripts."""

    name: str
    where: str
    """Path, or archive and path in it, for messages."""
    position: int
    """How much of the raw subset had been read before it, in bytes."""
    read: Callable[[], bytes]
    """To be called before the next file is asked for; raises DataError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawSubset:
    """Where a subset comes from."""

    name: str
    place: Path
    """An archive or a folder."""
    n_bytes: int
    fingerprint: str
    """Changes when the raw files do: names and sizes."""

    @property
    def is_archive(self) -> bool:
        """Whether it is not unpacked."""
        return self.place.suffix == ".gz"


def archive_name(subset: str) -> str:
    """Give the name under which a subset is downloaded."""
    return f"{subset}.tar.gz"


def find_raw(subset: str, raw_dir: Path) -> RawSubset | None:
    """Find a subset's raw files; its archive goes before its tree."""
    archive = raw_dir / archive_name(subset)
    if archive.is_file():
        n_bytes = archive.stat().st_size
        fingerprint = f"{archive.name}:{n_bytes}"
        return RawSubset(name=subset, place=archive, n_bytes=n_bytes, fingerprint=fingerprint)
    for folder in (raw_dir / TREE / subset, raw_dir / subset):
        sizes = [path.stat().st_size for path in _files_in(folder)] if folder.is_dir() else []
        if sizes:
            fingerprint = f"{subset}/:{len(sizes)}:{sum(sizes)}"
            return RawSubset(name=subset, place=folder, n_bytes=sum(sizes), fingerprint=fingerprint)
    return None


def walk(raw: RawSubset) -> Iterator[RawFile]:
    """Give all FLAC files and files of transcripts of a subset; raises DataError."""
    return _walk_archive(raw) if raw.is_archive else _walk_tree(raw.place)


def read_transcripts(file: RawFile) -> dict[str, str]:
    """Give the transcripts of a chapter by utterance; raises DataError that names the line."""
    found: dict[str, str] = {}
    try:
        lines = file.read().decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file.where} is not UTF-8 text ({error}); unpack it again") from error
    for number, line in enumerate(lines, start=1):
        utterance, _, text = line.partition(" ")
        if not UTTERANCE.fullmatch(utterance) or not text.isprintable():
            raise DataError(
                f"line {number} of {file.where} is {line[:60]!r}, not an utterance's name "
                "(103-1240-0000), a blank and its words"
            )
        if utterance in found:
            raise DataError(f"line {number} of {file.where}: {utterance} is there twice")
        found[utterance] = text.strip()
    return found


def utterance_of(file: RawFile) -> str:
    """Give the name of a FLAC file's utterance; raises DataError."""
    name = file.name.removesuffix(AUDIO_SUFFIX)
    if not UTTERANCE.fullmatch(name):
        raise DataError(f"{file.where} is not named as an utterance (103-1240-0000.flac)")
    return name


def _is_wanted(name: str) -> bool:
    return name.endswith((AUDIO_SUFFIX, TRANSCRIPT_SUFFIX)) and not name.startswith(".")


def _files_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*/*/*") if _is_wanted(p.name) and p.is_file())


def _walk_tree(folder: Path) -> Iterator[RawFile]:
    position = 0
    for path in _files_in(folder):
        yield RawFile(name=path.name, where=str(path), position=position, read=path.read_bytes)
        position += path.stat().st_size


def _walk_archive(raw: RawSubset) -> Iterator[RawFile]:
    where = str(raw.place)
    with (
        raw.place.open("rb") as file,
        archive_errors(where),
        tarfile.open(fileobj=file, mode="r:gz") as tar,
    ):
        for info in tar:
            path = PurePosixPath(info.name)
            if not info.isreg() or raw.name not in path.parts or not _is_wanted(path.name):
                continue
            yield RawFile(
                name=path.name,
                where=f"{where}: {path}",
                position=file.tell(),
                read=_reader(tar, info, where),
            )
        check_tar_end(tar)


def _reader(tar: tarfile.TarFile, info: tarfile.TarInfo, where: str) -> Callable[[], bytes]:
    def read() -> bytes:
        if not 0 <= info.size <= MAX_FILE_BYTES:
            raise DataError(f"{where}: {info.name!r} has {info.size:,} bytes")
        with archive_errors(where):
            stream: IO[bytes] | None = tar.extractfile(info)
            assert stream is not None  # it is a regular file
            content = stream.read()
            if len(content) != info.size:
                raise tarfile.ReadError("unexpected end of data")
            return content

    return read
