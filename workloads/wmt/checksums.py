"""Compares wmt's archives with their published sizes and SHA-256 sums, once for each file."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from pacebench.errors import DataError
from workloads.wmt.corpus import ARCHIVES
from workloads.wmt.raw_text import PositionReport

CHUNK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


def is_sum_due(path: Path, notes: Path) -> bool:
    """Say whether a file is an archive whose published sum was not compared yet.

    One of another size than the published is taken for a part of it, with a warning.
    """
    if path.name not in ARCHIVES:
        return False
    n_bytes, published = path.stat().st_size, ARCHIVES[path.name][0]
    if n_bytes != published:
        _log.warning(
            "%s has %s bytes, not the published %s: its sum is not compared",
            *(path, f"{n_bytes:,}", f"{published:,}"),
        )
        return False
    note = _note_path(path, notes)
    return not note.is_file() or note.read_text(encoding="ascii") != _identity(path)


def check_sum(path: Path, notes: Path, report_position: PositionReport) -> None:
    """Compare an archive with its published sum and note that it is right; raises DataError."""
    identity, expected = _identity(path), ARCHIVES[path.name][1]
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            report_position(file.tell())
    if digest.hexdigest() != expected:
        raise DataError(
            f"{path} has SHA-256 {digest.hexdigest()}, not the published {expected}; download it "
            "again"
        )
    _note_path(path, notes).write_text(identity, encoding="ascii")


def _note_path(path: Path, notes: Path) -> Path:
    return notes / f"{path.name}.sha256"


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
