"""What every `pacebench data prepare` needs: its lock, its disk errors, published sums, progress.

For workloads; imports no framework.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pacebench.errors import DataError
from pacebench.spec import Report

CHUNK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made, against a second `prepare`; the lock ends with the process.

    Raises DataError if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{folder.parent} is being prepared by another process") from error
        yield


@contextmanager
def disk_errors(name: str) -> Iterator[None]:
    """Turn a full disk, a folder without permission and the like into a DataError of `name`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{name}: {error}; when this is put right, run the same command again: what was "
            "written is kept"
        ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """An archive as its publisher describes it."""

    n_bytes: int
    algorithm: str
    """As hashlib names it: "md5" or "sha256"."""
    digest: str
    url: str = ""
    """Where it may be downloaded without an account."""


def begin(state: Path, identity: str) -> None:
    """Start in a locked folder, or go on where an earlier run of the same identity was interrupted.

    What another identity (raw data, settings, format) left there is deleted.
    """
    note = state / "identity"
    if not note.is_file() or note.read_text(encoding="utf-8") != identity:
        for path in state.iterdir():
            if path.name != "lock":
                path.unlink()
        note.write_text(identity, encoding="utf-8")


def is_sum_due(archive: Path, published: Published | None, notes: Path) -> bool:
    """Say whether an archive has a published sum that was not compared yet.

    One of another size than the published is taken for a part of it, with a warning, and has no
    sum to compare. What was compared is noted in the folder `notes`.
    """
    if published is None:
        return False
    n_bytes = archive.stat().st_size
    if n_bytes != published.n_bytes:
        _log.warning(
            "%s has %s bytes, not the published %s: taken for a part of it, no sum is compared",
            *(archive, f"{n_bytes:,}", f"{published.n_bytes:,}"),
        )
        return False
    note = _note_path(archive, published, notes)
    return not note.is_file() or note.read_text(encoding="ascii") != _identity(archive)


def check_sum(
    archive: Path, published: Published, notes: Path, report_position: Callable[[int], None]
) -> None:
    """Compare an archive with its published sum and note that it is right; raises DataError."""
    identity = _identity(archive)
    digest = hashlib.new(published.algorithm, usedforsecurity=False)
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            report_position(file.tell())
    if digest.hexdigest() != published.digest:
        raise DataError(
            f"{archive} has {published.algorithm.upper()} {digest.hexdigest()}, not the published "
            f"{published.digest}; download it again"
        )
    _note_path(archive, published, notes).write_text(identity, encoding="ascii")


def _note_path(archive: Path, published: Published, notes: Path) -> Path:
    return notes / f"{archive.name}.{published.algorithm}"


def _identity(archive: Path) -> str:
    status = archive.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


@dataclass(kw_only=True, slots=True)
class Progress:
    """How far a preparation is, over all its stages, in bytes read."""

    report: Report
    total_bytes: int
    done_bytes: int = 0

    def tell(self, what: str, position: int) -> None:
        """Report a position in what is being read now."""
        done = self.done_bytes + position
        self.report(what, done, max(done, self.total_bytes))
