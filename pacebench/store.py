"""A trial's folder: append-only rows, the clocks, meta, the end, a lock and a checkpoint."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pacebench import checkpoint
from pacebench.errors import StoreError
from pacebench.rows import (
    END_FILE,
    LOST_ROWS_FILE,
    META_FILE,
    METRICS_FILE,
    PLAN_FILE,
    ROWS_FILE,
    TIMING_FILE,
    EvalRow,
    Reason,
)

LOCK_FILE = "trial.lock"
CHECKPOINT_FILE = "checkpoint/state.npz"


class RunStore:
    """The folder of one trial; every write is whole or absent, whatever kills the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None

    def append_row(self, row: EvalRow) -> None:
        """Append an evaluation."""
        self._append(ROWS_FILE, row.to_json())

    def append_timing(self, step: int, sections: Mapping[str, float]) -> None:
        """Append the clocks as they stand after `step`, in seconds by section."""
        self._append(TIMING_FILE, json.dumps({"step": step, **sections}))

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append what a submission logged at `step`."""
        self._append(METRICS_FILE, json.dumps({"step": step, "metrics": dict(metrics)}))

    def rows(self) -> list[EvalRow]:
        """Read the rows written so far; a last line cut off by a crash does not count."""
        return [EvalRow.from_json(line) for line in whole_lines(self.folder / ROWS_FILE)]

    def rewind(self, n_rows: int, step: int, submission_seconds: float) -> None:
        """Keep what belongs to a checkpoint; later rows move to rows.lost.jsonl.

        The submission seconds that were logged after the checkpoint add to `lost_seconds` in
        meta.json: they were spent, but are not charged.
        """
        lines = whole_lines(self.folder / ROWS_FILE)
        if len(lines) < n_rows:
            raise StoreError(
                f"{self.folder / ROWS_FILE} has {len(lines)} rows but its checkpoint was made "
                f"after {n_rows}; delete the trial's folder to start it anew"
            )
        timings = whole_lines(self.folder / TIMING_FILE)
        if timings:
            lost = max(0.0, json.loads(timings[-1])["submission"] - submission_seconds)
            self.update_meta(lost_seconds=self.meta().get("lost_seconds", 0.0) + lost)
        for line in lines[n_rows:]:
            self._append(LOST_ROWS_FILE, line.decode())
        self._replace(ROWS_FILE, b"".join(line + b"\n" for line in lines[:n_rows]))
        for name in (TIMING_FILE, METRICS_FILE):
            kept = [x for x in whole_lines(self.folder / name) if json.loads(x)["step"] <= step]
            if (self.folder / name).exists():
                self._replace(name, b"".join(line + b"\n" for line in kept))

    def update_meta(self, **fields: Any) -> None:
        """Set fields of meta.json; values must be JSON."""
        self._replace(META_FILE, _to_json({**self.meta(), **fields}))

    def meta(self) -> dict[str, Any]:
        """Read meta.json; empty if there is none."""
        return read_json(self.folder / META_FILE) or {}

    def write_end(self, reason: Reason, **fields: Any) -> None:
        """Write end.json once, with the reason; a second call changes nothing."""
        aside = self._write_aside(END_FILE, _to_json({"reason": str(reason), **fields}))
        try:
            os.link(aside, self.folder / END_FILE)
        except FileExistsError:
            return
        finally:
            aside.unlink()
        checkpoint.sync_folder(self.folder)

    def end(self) -> dict[str, Any] | None:
        """Read end.json; None while the trial has not ended."""
        return read_json(self.folder / END_FILE)

    def save_checkpoint(self, tree: Any) -> None:
        """Replace the checkpoint by `tree` (see `checkpoint.save_tree`)."""
        path = self.folder / CHECKPOINT_FILE
        path.parent.mkdir(exist_ok=True)
        self._guard(lambda: checkpoint.save_tree(path, tree))

    def has_checkpoint(self) -> bool:
        """Say whether there is a checkpoint."""
        return (self.folder / CHECKPOINT_FILE).exists()

    def load_checkpoint(self) -> Any:
        """Give the newest checkpoint's tree, or None if there is none."""
        path = self.folder / CHECKPOINT_FILE
        return checkpoint.load_tree(path) if path.exists() else None

    def acquire_lock(self) -> None:
        """Take the trial for this process until it ends; raises StoreError if another holds it."""
        descriptor = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = (self.folder / LOCK_FILE).read_text() or "another process"
            os.close(descriptor)
            raise StoreError(f"{self.folder} is already being run by {holder}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
        self._lock = descriptor

    def heartbeat(self) -> None:
        """Touch the lock, so that other hosts see that the trial is alive."""
        os.utime(self.folder / LOCK_FILE)

    def is_locked(self) -> bool:
        """Whether a live process on this host (or one sharing its locks) runs the trial."""
        try:
            descriptor = os.open(self.folder / LOCK_FILE, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _append(self, name: str, line: str) -> None:
        path = self.folder / name

        def write() -> None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                cut = _unfinished_bytes(descriptor)
                if cut:  # a crash cut the last line off; it was never a row
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - cut)
                data = f"{line}\n".encode()
                if os.write(descriptor, data) != len(data):
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

        self._guard(write)

    def _replace(self, name: str, data: bytes) -> None:
        aside = self._write_aside(name, data)
        self._guard(lambda: aside.replace(self.folder / name))

    def _write_aside(self, name: str, data: bytes) -> Path:
        path = self.folder / f"{name}.{os.getpid()}.partial"  # ranks may write at the same time

        def write() -> None:
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

        self._guard(write)
        return path

    def _guard(self, write: Callable[[], object]) -> None:
        """Run a write; a full or unwritable disk becomes a StoreError that says what to do."""
        try:
            write()
        except OSError as error:
            raise StoreError(
                f"cannot write to {self.folder}: {error.strerror or error}; make room or make it "
                "writable, then run the same command to continue"
            ) from error


def create_trial(folder: Path, plan_json: str) -> None:
    """Write the plan into a trial's folder, which makes it a trial; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    RunStore(folder)._replace(PLAN_FILE, plan_json.encode())


def whole_lines(path: Path) -> list[bytes]:
    """Read the lines of a file that end with a newline; none if there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return data[: data.rfind(b"\n") + 1].splitlines()


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if there is no file. Raises StoreError if it is damaged."""
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); delete the trial's folder") from error
    return value


def _to_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _unfinished_bytes(descriptor: int) -> int:
    """How many bytes follow the last newline of an open file."""
    size = os.fstat(descriptor).st_size
    length = min(size, 1 << 20)
    data = os.pread(descriptor, length, size - length)
    return len(data) - (data.rfind(b"\n") + 1)
