"""The files that say what a split holds: the manifest, and the journal that comes before it.

  <split>.tsv               "<path> <label> <bytes> <crc32>", sorted; written last
  .prepare/<split>.journal  a head line, "raw <fingerprint>"; then, until the split is whole,
                            "file <wnid> <image> <bytes> <crc32>" and "class <wnid>" (is whole)

Fields are separated by tabs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pacebench.errors import DataError

WNID = re.compile(r"n[0-9]{8}")
Entries = dict[str, dict[str, tuple[int, int]]]
"""(bytes, crc32) by class and name of the image."""


@dataclass(kw_only=True, slots=True)
class Journal:
    """What was written before."""

    fingerprint: str = ""
    """Of the raw files it was written from."""
    known: Entries = field(default_factory=dict)
    whole_classes: set[str] = field(default_factory=set)


def read_journal(path: Path) -> Journal:
    """Read a journal, empty if there is none; a line that a crash cut off or spoilt ends it."""
    journal = Journal()
    if not path.is_file():
        return journal
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            match line.decode().split("\t"):
                case ["raw", fingerprint]:
                    journal.fingerprint = fingerprint
                case ["class", wnid] if wnid in journal.known:
                    journal.whole_classes.add(wnid)
                case ["file", wnid, name, n_bytes, crc]:
                    _check_names(wnid, name)
                    journal.known.setdefault(wnid, {})[name] = (int(n_bytes), int(crc, 16))
                case _:
                    break
        except ValueError:
            break
    return journal


def file_line(wnid: str, name: str, n_bytes: int, crc: int) -> str:
    """Give a journal's line for a file."""
    return f"file\t{wnid}\t{name}\t{n_bytes}\t{crc:08x}\n"


def read_manifest(path: Path) -> tuple[Entries, dict[str, int]]:
    """Read a manifest: its files, and the label of every class; raises DataError."""
    known: Entries = {}
    labels: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            image, label, n_bytes, crc = line.decode().split("\t")
            _, wnid, name = image.split("/")
            _check_names(wnid, name)
            entry = (int(n_bytes), int(crc, 16))
            is_same = labels.setdefault(wnid, int(label)) == int(label)
        except ValueError as error:
            raise _bad_line(path, number) from error
        if not is_same:
            raise _bad_line(path, number)
        known.setdefault(wnid, {})[name] = entry
    return known, labels


def _check_names(wnid: str, name: str) -> None:
    """Raise ValueError for names that are not those of a class folder and a file in it."""
    if not WNID.fullmatch(wnid) or "/" in name or name in ("", ".", ".."):
        raise ValueError("not a class and an image")


def _bad_line(path: Path, number: int) -> DataError:
    return DataError(
        f"line {number} of {path} is not <path> <label> <bytes> <crc32>; delete the file and run "
        "the same command again: the images are kept"
    )


def replace_file(path: Path, aside: Path, content: bytes) -> None:
    """Write a file aside, force it to the disk and rename it into place."""
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.unlink(missing_ok=True)
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
