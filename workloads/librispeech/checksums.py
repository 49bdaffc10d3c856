"""Compares LibriSpeech's archives with their published sizes and SHA-256 sums, once for each."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from pacebench.errors import DataError

# Bytes and SHA-256, as TensorFlow Datasets 4.9.10 lists them (datasets/librispeech).
PUBLISHED = {
    "train-clean-100.tar.gz": (
        6_387_309_499,
        "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "train-clean-360.tar.gz": (
        23_049_477_885,
        "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    ),
    "train-other-500.tar.gz": (
        30_593_501_606,
        "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    ),
    "dev-clean.tar.gz": (
        337_926_286,
        "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    ),
    "dev-other.tar.gz": (
        314_305_928,
        "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    ),
    "test-clean.tar.gz": (
        346_663_984,
        "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    ),
}
CHUNK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


def is_sum_due(archive: Path, notes: Path) -> bool:
    """Say whether an archive has a published sum that was not compared yet.

    One of another size is taken for a part, with a warning. What was compared is noted in the
    folder `notes`.
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
    """Compare an archive with its published sum and note that it is right; raises DataError."""
    identity, expected = _identity(archive), PUBLISHED[archive.name][1]
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            report_position(file.tell())
    if digest.hexdigest() != expected:
        raise DataError(
            f"{archive} has SHA-256 {digest.hexdigest()}, not the published {expected}; download "
            "it again"
        )
    _note_path(archive, notes).write_text(identity, encoding="ascii")


def _note_path(archive: Path, notes: Path) -> Path:
    return notes / f"{archive.name}.sha256"


def _identity(archive: Path) -> str:
    status = archive.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
