"""Draining a plan with processes on this machine, each on cores or GPUs of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacebench.environment import usable_cores, visible_gpus
from pacebench.errors import PlanError
from pacebench.store import RunStore

POLL_SECONDS = 0.1
STOP_SECONDS, KILL_SECONDS = 630.0, 30.0
"""For trials that are asked to stop, once and twice; longer than what their supervisors allow."""


@dataclass(slots=True)
class Slot:
    """A share of the machine that runs one trial at a time."""

    options: list[str]
    """What `pacebench trial` is told about it."""
    folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a drain stands; given about ten times a second."""

    running: tuple[Path, ...]
    ended: tuple[tuple[Path, dict[str, Any]], ...] = field(default=())
    """Trials that ended since the last report, with their end.json."""
    failed: tuple[tuple[Path, str], ...] = field(default=())
    """Trials that could not run (disk, data, lock), with one line saying why."""


def drain(folders: Sequence[Path], slots: Sequence[Slot]) -> Generator[Progress]:
    """Run the trials in `folders`, at most one per slot; stops them cleanly when closed.

    Trials that have ended already are not run again.
    """
    waiting = deque(folders)
    try:
        while waiting or any(slot.process for slot in slots):
            ended, failed = [], []
            for slot in slots:
                if slot.process is None and waiting:
                    _start(slot, waiting.popleft())
                elif slot.process is not None and slot.process.poll() is not None:
                    folder, line = _finish(slot)
                    end = RunStore(folder).end()
                    if end is not None:
                        ended.append((folder, end))
                    else:
                        failed.append((folder, line))
            running = tuple(slot.folder for slot in slots if slot.folder)
            yield Progress(running=running, ended=tuple(ended), failed=tuple(failed))
            time.sleep(POLL_SECONDS)
    finally:
        _stop(slots)


def make_slots(jobs: int, n_cores: int, n_gpus: int) -> list[Slot]:
    """Divide cores (or GPUs) among `jobs` slots; raises PlanError if there are too few."""
    slots = []
    cores, gpus = usable_cores(), visible_gpus()
    if n_gpus * jobs > len(gpus) and n_gpus:
        raise PlanError(
            f"--jobs {jobs} with {n_gpus} GPUs each needs {n_gpus * jobs} GPUs; {len(gpus)} found"
        )
    if n_cores * jobs > len(cores):
        raise PlanError(f"--jobs {jobs} needs at least {jobs} cores; {len(cores)} found")
    for job in range(jobs):
        options = []
        if n_cores:
            own = cores[job * n_cores : (job + 1) * n_cores]
            options += ["--cores", ",".join(str(c) for c in own)]
        if n_gpus:
            options += ["--gpus", ",".join(gpus[job * n_gpus : (job + 1) * n_gpus])]
        slots.append(Slot(options))
    return slots


def _start(slot: Slot, folder: Path) -> None:
    slot.folder = folder
    slot.process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pacebench", "trial", str(folder), *slot.options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches this process, which then stops them in order
    )


def _finish(slot: Slot) -> tuple[Path, str]:
    """Free a slot whose process has ended; gives its folder and its last line of complaint."""
    process, folder = slot.process, slot.folder
    assert process is not None
    assert folder is not None
    with process:  # closes the pipe
        text = process.stderr.read().decode(errors="replace") if process.stderr else ""
    slot.process = slot.folder = None
    lines = [line for line in text.splitlines() if line.strip()]
    return folder, lines[-1] if lines else f"exit code {process.returncode}"


def _stop(slots: Sequence[Slot]) -> None:
    """Ask what still runs to write a checkpoint and stop; Ctrl-C meanwhile stops it at once."""
    running = [slot.process for slot in slots if slot.process is not None]
    try:
        _terminate(running, STOP_SECONDS)
    except KeyboardInterrupt:
        _terminate(running, KILL_SECONDS)
    for process in running:
        if process.poll() is None:
            process.kill()
        if process.stderr is not None:
            process.stderr.close()


def _terminate(running: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
