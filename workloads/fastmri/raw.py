"""The raw download of fastMRI in its real layout: archives of volumes, or unpacked folders."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pacebench.archives import archive_errors, check_tar_end
from pacebench.errors import DataError
from workloads.fastmri.files import volume_files

ARCHIVE_SUFFIXES = (".tar.xz", ".tar.gz", ".tar")
SHORT_PREFIX = "knee_"
"""The archives' own folders do without it: singlecoil_train, singlecoil_val."""
MEMBER = re.compile(r"(?:[\w.-]+/){0,3}([\w-][\w.-]*\.h5)")
CHUNK_BYTES = 1 << 20

Copy = Callable[[Path], Path]


@dataclass(frozen=True, kw_only=True, slots=True)
class RawVolume:
    """A volume of the raw download."""

    name: str
    where: str
    """For messages."""
    position: int
    """How many bytes of the raw files come before it."""
    place: Copy
    """place(aside): gives a file with the volume, `aside` if it had to be unpacked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFolder:
    """Where one folder of volumes comes from: an archive, or the folder unpacked."""

    path: Path
    is_archive: bool
    n_bytes: int
    fingerprint: str
    """Changes when the raw files do: names and sizes."""

    def walk(self) -> Iterator[RawVolume]:
        """Give the volumes in the raw files' order; raises DataError."""
        return _walk_archive(self.path) if self.is_archive else _walk_folder(self.path)


def archive_names(folder: str) -> list[str]:
    """Give the names under which a folder's archive may lie."""
    return [folder + suffix for suffix in ARCHIVE_SUFFIXES]


def find_raw(folder: str, raw_dir: Path) -> RawFolder | None:
    """Find the raw files of a folder of volumes; an archive goes before an unpacked folder."""
    for name in archive_names(folder):
        path = raw_dir / name
        if path.is_file():
            n_bytes = path.stat().st_size
            return RawFolder(
                path=path, is_archive=True, n_bytes=n_bytes, fingerprint=f"{name}:{n_bytes}"
            )
    for name in (folder, folder.removeprefix(SHORT_PREFIX)):
        sizes = [path.stat().st_size for path in volume_files(raw_dir / name)]
        if sizes:
            return RawFolder(
                path=raw_dir / name,
                is_archive=False,
                n_bytes=sum(sizes),
                fingerprint=f"{name}/:{len(sizes)}:{sum(sizes)}",
            )
    return None


def _walk_folder(folder: Path) -> Iterator[RawVolume]:
    position = 0
    for path in volume_files(folder):
        yield RawVolume(
            name=path.name, where=str(path), position=position, place=lambda _aside, path=path: path
        )
        position += path.stat().st_size


def _walk_archive(archive: Path) -> Iterator[RawVolume]:
    with (
        archive_errors(archive),
        archive.open("rb") as file,
        tarfile.open(fileobj=file, mode="r:*") as tar,
    ):
        for info in tar:
            if info.isdir() or PurePosixPath(info.name).name.startswith("."):
                continue  # folders come with their files; hidden files are a system's
            match = MEMBER.fullmatch(info.name.removeprefix("./"))
            if match is None or not info.isreg() or info.issparse():
                raise DataError(
                    f"{archive}: unexpected member {info.name!r}; all are <folder>/<name>.h5"
                )
            yield RawVolume(
                name=match[1],
                where=f"{archive}: {info.name}",
                position=file.tell(),
                place=_unpacker(archive, tar, info),
            )
        check_tar_end(tar)


def _unpacker(archive: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Copy:
    def unpack(aside: Path) -> Path:
        with archive_errors(archive):
            stream = tar.extractfile(info)
            assert stream is not None  # it is a regular file
            with stream, aside.open("wb") as file:
                shutil.copyfileobj(stream, file, CHUNK_BYTES)
            if aside.stat().st_size != info.size:
                raise tarfile.ReadError("unexpected end of data")
        return aside

    return unpack
