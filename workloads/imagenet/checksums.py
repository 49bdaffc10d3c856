"""Compares ImageNet's archives with their published sizes and MD5 sums, once for each file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from pacebench.errors import DataError
from workloads.imagenet.raw import DEVKIT_ARCHIVE, TRAIN_ARCHIVE, VAL_ARCHIVE

# Bytes and MD5. The sums: torchvision, datasets/imagenet.py. The sizes: as mirrors list them; a
# wrong one here would only mean that the sum is not compared.
PUBLISHED = {
    TRAIN_ARCHIVE: (147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    VAL_ARCHIVE: (6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
    DEVKIT_ARCHIVE: (2_568_145, "fa75699e90414af021442c21a62c3abf"),
}
CHUNK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


def is_sum_due(archive: Path, notes: Path) -> bool:
    """Say whether an archive has a published sum that was not compared yet.

    One of another size than the published has none: it is taken for a part, with a warning. What
    was compared is noted in the folder `notes`.
    """
    if archive.name not in PUBLISHED:
        return False
    n_bytes, published = archive.stat().st_size, PUBLISHED[archive.name][0]
    if n_bytes != published:
        _log.warning(
            "%s has %s bytes, not the published %s: taken for a part of it",
            *(archive, f"{n_bytes:,}", f"{published:,}"),
        )
        return False
    note = _note_path(archive, notes)
    return not note.is_file() or note.read_text(encoding="ascii") != _identity(archive)


def check_sum(archive: Path, notes: Path, report_position: Callable[[int], None]) -> None:
    """Compare an archive with its published MD5 and note that it is right; raises DataError."""
    identity, expected = _identity(archive), PUBLISHED[archive.name][1]
    digest = hashlib.md5(usedforsecurity=False)
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            report_position(file.tell())
    if digest.hexdigest() != expected:
        raise DataError(
            f"{archive} has MD5 {digest.hexdigest()}, not the published {expected}; download it "
            "again"
        )
    _note_path(archive, notes).write_text(identity, encoding="ascii")


def _note_path(archive: Path, notes: Path) -> Path:
    return notes / f"{archive.name}.md5"


def _identity(archive: Path) -> str:
    status = archive.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
