"""One split on the disk: its class folders, and what is known of the files in them.

Files are compared by size: file systems record a file's size after its bytes, so what a crash left
behind is too short.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from pacebench.errors import DataError
from workloads.imagenet.raw_images import Image
from workloads.imagenet.split_records import (
    Entries,
    file_line,
    read_journal,
    read_manifest,
    replace_file,
)

STATE_FOLDER = ".prepare"
"""Beside the splits: journals, sums that were compared, and files on their way into place."""


class SplitFolder:
    """What is known of a split's files, and what is written in this run."""

    def __init__(self, folder: Path, split: str) -> None:
        self.name = split
        self.manifest = folder / f"{split}.tsv"
        self._folder = folder
        self._journal = folder / STATE_FOLDER / f"{split}.journal"
        self._aside = folder / STATE_FOLDER / f"{split}.aside"
        journal = read_journal(self._journal)
        self._fingerprint, self._known = journal.fingerprint, journal.known
        self._whole_classes = journal.whole_classes
        self._labels: dict[str, int] = {}
        if self.manifest.is_file():
            self._known, self._labels = read_manifest(self.manifest)
        self._written: Entries = {}
        self._damaged = {
            (wnid, name): n_bytes
            for wnid, images in self._known.items()
            for name, (n_bytes, _) in images.items()
            if _size_of(self._path(wnid, name)) != n_bytes
        }

    def is_whole(self, fingerprint: str | None, classes: Sequence[str] | None) -> bool:
        """Say whether manifest and files are there, made of this raw data and with these labels.

        None stands for raw data that is gone, and for labels that are not known yet.
        """
        if not self._labels or self._damaged or fingerprint not in (None, self._fingerprint):
            return False
        return classes is None or self._labels == {
            wnid: label for label, wnid in enumerate(classes) if wnid in self._labels
        }

    def classes(self) -> list[str]:
        """Give the WordNet ids of the manifest, sorted."""
        return sorted(self._labels)

    def missing_bytes(self, raw_bytes: int, fingerprint: str) -> int:
        """Give how much is still to be written of `raw_bytes`."""
        if self._labels and fingerprint == self._fingerprint:
            return sum(self._damaged.values())
        known = sum(n for images in self._known.values() for n, _ in images.values())
        return max(0, raw_bytes - (known - sum(self._damaged.values())))

    def begin(self, fingerprint: str) -> None:
        """Start or go on writing: the manifest goes, what it knew becomes the journal."""
        if self._labels and fingerprint == self._fingerprint:
            self._whole_classes = set(self._known)
        elif fingerprint != self._fingerprint:
            self._whole_classes = set()
        for (wnid, name), n_bytes in self._damaged.items():
            self._check_link(self._path(wnid, name), n_bytes)
            del self._known[wnid][name]
            self._whole_classes.discard(wnid)
        self._damaged, self._labels, self._fingerprint = {}, {}, fingerprint
        self.manifest.unlink(missing_ok=True)
        lines = [f"raw\t{fingerprint}\n"]
        for wnid, images in self._known.items():
            lines += [file_line(wnid, name, *entry) for name, entry in images.items()]
        lines += [f"class\t{wnid}\n" for wnid in self._whole_classes]
        replace_file(self._journal, self._aside, "".join(lines).encode())

    def keep_class(self, wnid: str) -> bool:
        """Keep a class that was written whole; says whether it was."""
        if wnid not in self._whole_classes:
            return False
        self._written[wnid] = dict(self._known[wnid])
        return True

    def write(self, image: Image) -> None:
        """Write an image, or link it, unless it is there."""
        images = self._written.setdefault(image.wnid, {})
        path = self._path(image.wnid, image.name)
        if image.name in images:
            raise DataError(f"{self.name}: the raw data has {path.name} of {image.wnid} twice")
        known = self._known.get(image.wnid, {}).get(image.name)
        if known is not None and known[0] == image.n_bytes:
            images[image.name] = known
            return
        content = image.read()
        if not images:
            path.parent.mkdir(parents=True, exist_ok=True)
        if _size_of(path) != len(content) or path.read_bytes() != content:
            self._place(path, content, image.file)
        images[image.name] = entry = (len(content), zlib.crc32(content))
        self._append(file_line(image.wnid, image.name, *entry))

    def end_class(self, wnid: str) -> None:
        """Note that all images of a class were written."""
        if wnid not in self._whole_classes:
            self._append(f"class\t{wnid}\n")

    def finish(self, classes: Sequence[str] | None) -> list[str]:
        """Write the manifest and give the classes; None makes them of what was written."""
        if not self._written:
            raise DataError(f"{self.name}: the raw data holds no image")
        self._remove_foreign()
        found = sorted(self._written)
        self._labels = {wnid: label for label, wnid in enumerate(classes or found)}
        lines = [
            f"{self.name}/{wnid}/{name}\t{self._labels[wnid]}\t{n_bytes}\t{crc:08x}\n"
            for wnid in found
            for name, (n_bytes, crc) in sorted(self._written[wnid].items())
        ]
        os.sync()  # the images first: a manifest says that they are there
        replace_file(self.manifest, self._aside, "".join(lines).encode())
        replace_file(self._journal, self._aside, f"raw\t{self._fingerprint}\n".encode())
        return found

    def _path(self, wnid: str, name: str) -> Path:
        return self._folder / self.name / wnid / name

    def _check_link(self, path: Path, n_bytes: int) -> None:
        if path.exists() and path.stat().st_nlink > 1:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes, not the {n_bytes:,} it was prepared "
                "with, and is one file with its raw image; restore that image, delete this one "
                "and run the same command again"
            )

    def _place(self, path: Path, content: bytes, file: Path | None) -> None:
        """Put a file into place as a whole: a link if it can be one, else a copy."""
        self._aside.unlink(missing_ok=True)
        if file is None or not _link(file.resolve(), self._aside):
            self._aside.write_bytes(content)
        self._aside.replace(path)

    def _append(self, line: str) -> None:
        with self._journal.open("ab") as file:
            file.write(line.encode())

    def _remove_foreign(self) -> None:
        """Remove what an earlier run wrote from raw data that has changed since."""
        for wnid, images in self._known.items():
            for name in images.keys() - self._written.get(wnid, {}).keys():
                self._path(wnid, name).unlink(missing_ok=True)
            parent = self._folder / self.name / wnid
            if wnid not in self._written and parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _size_of(path: Path) -> int:
    """Give a file's size; -1 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _link(file: Path, aside: Path) -> bool:
    """Make a hard link; says no where the file systems cannot."""
    try:
        os.link(file, aside)
    except OSError:  # another device, a file system without links, too many of them, not allowed
        return False
    return True
