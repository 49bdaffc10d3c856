"""One folder of prepared volumes on the disk, and what is known of the files in it.

  <name>.tsv               "<file> <slices> <bytes> <crc32>", sorted; written last
  .prepare/<name>.journal  a head line, "raw <fingerprint>"; then, until the folder is whole, lines
                           like the manifest's

Fields are separated by tabs. Files are compared by size: file systems record a file's size after
its bytes, so what a crash left behind is too short.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from pacebench.errors import DataError
from workloads.fastmri.files import STATE_FOLDER, Entry, read_manifest
from workloads.fastmri.raw import CHUNK_BYTES, RawVolume
from workloads.fastmri.volumes import HYBRID, TARGET, Volume, opened, read_slice, read_volume


class PreparedFolder:
    """What is known of a folder's files, and what is written in this run."""

    def __init__(self, folder: Path, name: str, n_side: int) -> None:
        self.name = name
        self.manifest = folder / f"{name}.tsv"
        self._folder = folder / name
        self._n_side = n_side
        self._state = folder / STATE_FOLDER
        self._journal = self._state / f"{name}.journal"
        self._fingerprint, known = _read_journal(self._journal)
        self._has_manifest = self.manifest.is_file()
        self._known = read_manifest(self.manifest) if self._has_manifest else known
        self._before: set[str] = set()
        self._written: dict[str, Entry] = {}

    def is_whole(self, fingerprint: str | None) -> bool:
        """Say whether manifest and files are there; None stands for raw data that is gone."""
        is_same = fingerprint in (None, self._fingerprint)
        return self._has_manifest and is_same and all(map(self.has, self._known))

    def has(self, name: str) -> bool:
        """Say whether a volume was written whole."""
        entry, path = self._known.get(name), self._folder / name
        return entry is not None and path.is_file() and path.stat().st_size == entry.n_bytes

    def known_bytes(self, fingerprint: str) -> int:
        """Give how much of these raw files is already written."""
        if fingerprint != self._fingerprint:
            return 0
        return sum(entry.n_bytes for name, entry in self._known.items() if self.has(name))

    def begin(self, fingerprint: str) -> None:
        """Start or go on writing: the manifest goes, what it knew becomes the journal."""
        self._before = set(self._known)
        is_same = fingerprint == self._fingerprint
        self._known = {n: e for n, e in self._known.items() if is_same and self.has(n)}
        self._fingerprint, self._has_manifest = fingerprint, False
        self._state.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(exist_ok=True)
        self.manifest.unlink(missing_ok=True)
        lines = [entry.line(name) for name, entry in self._known.items()]
        self._replace(self._journal, f"raw\t{fingerprint}\n" + "".join(lines))

    def write(self, raw: RawVolume) -> None:
        """Write a volume unless it is there; raises DataError with the raw volume's name."""
        if raw.name in self._written:
            raise DataError(f"{raw.where}: the raw data has {raw.name} twice")
        if raw.name in self._known:
            self._written[raw.name] = self._known[raw.name]
            return
        unpacked, aside = self._state / f"{self.name}.raw", self._state / f"{self.name}.aside"
        source = raw.place(unpacked)
        try:
            volume = read_volume(source, self._n_side)
            write_prepared(volume, aside)
        except DataError as error:
            raise DataError(f"{raw.where}: {str(error).removeprefix(f'{source}: ')}") from error
        entry = Entry(
            n_slices=volume.n_slices, n_bytes=aside.stat().st_size, crc32=f"{_crc32(aside):08x}"
        )
        aside.replace(self._folder / raw.name)
        unpacked.unlink(missing_ok=True)
        self._written[raw.name] = entry
        with self._journal.open("ab") as file:
            file.write(entry.line(raw.name).encode())

    def finish(self) -> None:
        """Write the manifest; what an earlier run made of other raw data is removed."""
        if not self._written:
            raise DataError(f"{self.name}: the raw data holds no volume")
        for name in self._before - set(self._written):
            (self._folder / name).unlink(missing_ok=True)
        os.sync()  # the volumes first: a manifest says that they are there
        lines = [entry.line(name) for name, entry in sorted(self._written.items())]
        self._replace(self.manifest, "".join(lines))
        self._replace(self._journal, f"raw\t{self._fingerprint}\n")

    def _replace(self, path: Path, text: str) -> None:
        """Write a file aside, force it to the disk and rename it into place."""
        aside = self._state / f"{self.name}.text"
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def write_prepared(volume: Volume, path: Path) -> None:
    """Write a volume in hybrid space, each array in one piece; raises DataError and OSError."""
    import h5py

    n_slices, n_side = volume.n_slices, volume.n_side
    with opened(volume.path) as source:
        attributes = dict(source.attrs)
    try:
        with h5py.File(path, "w") as file:
            hybrid = file.create_dataset(HYBRID, (n_slices, n_side, volume.width), "complex64")
            target = file.create_dataset(TARGET, (n_slices, n_side, n_side), "float32")
            for index in range(n_slices):
                hybrid[index], target[index] = read_slice(volume, index)
            for name, value in attributes.items():
                file.attrs[name] = value
    except RuntimeError as error:  # how h5py says at closing that a disk is full
        raise OSError(f"{path}: {error}") from error


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def _read_journal(path: Path) -> tuple[str, dict[str, Entry]]:
    """Read a journal, empty if there is none; a line that a crash cut off or spoilt ends it."""
    fingerprint, known = "", dict[str, Entry]()
    if not path.is_file():
        return fingerprint, known
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            match line.decode().split("\t"):
                case ["raw", fingerprint]:
                    pass
                case [name, n_slices, n_bytes, crc] if "/" not in name:
                    entry = Entry(n_slices=int(n_slices), n_bytes=int(n_bytes), crc32=crc)
                    known[name] = entry
                case _:
                    break
        except ValueError:
            break
    return fingerprint, known
