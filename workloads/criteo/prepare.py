"""Prepares criteo1tb: raw click logs, parsed and hashed once, to shards that are memory mapped.

`workloads.criteo.shards` says what is written. A shard has its note when it is finished, so an
interrupted run goes on with the first that has none. Several raw files are worked on at once, by
one process per core; days may also be prepared one after the other, where the disk does not hold
all of them.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pacebench.errors import DataError
from pacebench.manifests import crc_of
from pacebench.preparing import disk_errors, locked
from pacebench.spec import Report
from workloads.criteo.clicks import CRITEO, ClickLog
from workloads.criteo.columns import ROW_BYTES
from workloads.criteo.parse import parse
from workloads.criteo.raw import RawFile, count_lines, find_raw, read_blocks, usable_cores
from workloads.criteo.shards import SUFFIX, Note, ShardWriter, note_path, read_note

RAW_FILES = ("day_0.gz … day_23.gz",)
_PERIOD_SECONDS = 0.5
STATE, POSITIONS = ".prepare", ".positions"
Tell = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One raw file."""

    number: int
    log: ClickLog
    raw: RawFile
    data_dir: Path

    def shard(self, part: int) -> Path:
        """Give the shard of a part of the day; a file that is a part has no other."""
        place = part if self.raw.part is None else self.raw.part
        return self.log.shard(self.data_dir, self.raw.day, place)


def needed_bytes_criteo(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare_criteo` will still write; raises DataError."""
    return needed_bytes(CRITEO, raw_dir, data_dir)


def prepare_criteo(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write the shards of the days in `raw_dir`; raises DataError."""
    prepare(CRITEO, raw_dir, data_dir, report)


def needed_bytes(log: ClickLog, raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    needed = 0
    with disk_errors(log.name):
        for task in _tasks(log, raw_dir, data_dir):
            done = _finished(task)
            if not (done and done[-1].is_last):
                n_lines = count_lines(task.raw) - sum(note.n_rows for note in done)
                needed += max(0, n_lines) * ROW_BYTES
    return needed


def prepare(
    log: ClickLog,
    raw_dir: Path,
    data_dir: Path,
    report: Report,
    n_processes: int | None = None,
) -> None:
    """Write the shards of a log's raw files. What is there and whole is kept.

    What was finished before is compared with its checksums. Raises DataError.
    """
    folder = data_dir / log.folder
    with disk_errors(log.name), locked(folder / STATE):
        tasks = _tasks(log, raw_dir, data_dir)
        total = sum(task.raw.n_bytes for task in tasks)
        n_processes = min(n_processes or usable_cores(), len(tasks))
        if n_processes > 1:
            _run_processes(tasks, n_processes, total, report)
            return
        done = 0
        for task in tasks:
            _write_shards(task, partial(_tell, report, task, done, total))
            done += task.raw.n_bytes


def _tell(report: Report, task: Task, done: int, total: int, position: int) -> None:
    report(task.raw.path.name, done + position, total)


def _tasks(log: ClickLog, raw_dir: Path, data_dir: Path) -> list[Task]:
    raws = find_raw(log, raw_dir)
    if not raws:
        raise DataError(
            f"{log.name}: {raw_dir} holds no day_<d>.gz, day_<d> or day_<d>_<NN>; {log.help}"
        )
    return [
        Task(number=number, log=log, raw=raw, data_dir=data_dir) for number, raw in enumerate(raws)
    ]


def _run_processes(tasks: Sequence[Task], n_processes: int, total: int, report: Report) -> None:
    """Work on all files; each process tells in a file how far it is, and sees there if it stops."""
    folder = tasks[0].shard(0).parent
    shared = np.memmap(folder / POSITIONS, np.int64, mode="w+", shape=1 + len(tasks))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, context) as pool:
        waiting = {pool.submit(_work, task, len(tasks)) for task in tasks}
        try:
            while waiting:
                done, waiting = wait(waiting, _PERIOD_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                name = f"{len(tasks) - len(waiting)} of {len(tasks)} files"
                report(name, int(shared[1:].sum()), total)
        except BaseException:
            shared[0] = 1
            pool.shutdown(cancel_futures=True)
            raise
    (folder / POSITIONS).unlink()


class _StoppedError(Exception):
    """Another process failed."""


def _work(task: Task, n_tasks: int) -> None:
    path = task.shard(0).parent / POSITIONS
    shared = np.memmap(path, np.int64, mode="r+", shape=1 + n_tasks)

    def tell(position: int) -> None:
        shared[1 + task.number] = position
        if shared[0]:
            raise _StoppedError

    _write_shards(task, tell)


def _finished(task: Task, *, is_checked: bool = False) -> list[Note]:
    """Give the notes of the shards that are finished, in order, up to the first that is not."""
    notes: list[Note] = []
    while True:
        shard = task.shard(len(notes))
        try:
            note = read_note(shard)
        except DataError:  # a shard that was cut or deleted is written again
            note = None
        start = notes[-1].stop if notes else 0
        if note is None or (note.raw, note.start) != (task.raw.identity, start):
            return notes
        if is_checked and crc_of(shard) != note.crc32:
            return notes
        notes.append(note)
        if note.is_last or task.raw.part is not None:
            return notes


def _write_shards(task: Task, tell: Tell) -> None:
    """Write the shards of one raw file that are missing."""
    notes = _finished(task, is_checked=True)
    if not (notes and notes[-1].is_last):
        _write_missing(task, notes, tell)
    tell(task.raw.n_bytes)


def _write_missing(task: Task, notes: Sequence[Note], tell: Tell) -> None:
    cutter = ShardCutter(task, notes)
    try:
        for block in read_blocks(task.raw, cutter.stop):
            cutter.take(block.data)
            tell(block.position)
        cutter.finish()
    finally:
        cutter.abandon()


class ShardCutter:
    """Cuts the lines of a raw file into shards, behind those that are finished."""

    def __init__(self, task: Task, notes: Sequence[Note]) -> None:
        self.stop = notes[-1].stop if notes else 0
        self._task = task
        self._start = self.stop
        self._line = 1 + sum(note.n_rows for note in notes)
        self._part = len(notes)
        self._n_lines = task.log.n_file_lines if task.raw.part is None else sys.maxsize
        self._writer: ShardWriter | None = None
        for stale in self._stale_shards():
            note_path(stale).unlink(missing_ok=True)
            stale.unlink(missing_ok=True)

    def take(self, lines: bytes) -> None:
        """Parse lines and write their rows; raises DataError."""
        while lines:
            if self._writer is not None and self._writer.n_rows == self._n_lines:
                self._finish_shard(is_last=False)
            if self._writer is None:
                self._writer = ShardWriter(self._task.shard(self._part))
            taken = _first_lines(lines, self._n_lines - self._writer.n_rows)
            rows = parse(taken, str(self._task.raw.path), self._line)
            self._writer.write(rows)
            self._line += len(rows.labels_N)
            self.stop += len(taken)
            lines = lines[len(taken) :]

    def finish(self) -> None:
        """Finish the last shard; raises DataError if there was nothing."""
        if self.stop == 0:
            raise DataError(f"{self._task.raw.path} is empty")
        self._finish_shard(is_last=True)

    def abandon(self) -> None:
        """Delete what is not finished."""
        if self._writer is not None:
            self._writer.abandon()

    def _finish_shard(self, *, is_last: bool) -> None:
        assert self._writer is not None
        identity = self._task.raw.identity
        self._writer.finish(raw=identity, start=self._start, stop=self.stop, is_last=is_last)
        self._writer, self._start, self._part = None, self.stop, self._part + 1

    def _stale_shards(self) -> Iterator[Path]:
        """Give the shards that other raw files left where this one's will come."""
        if self._task.raw.part is not None:
            yield self._task.shard(0)
            return
        folder = self._task.shard(0).parent
        for path in folder.glob(f"day_{self._task.raw.day}_*{SUFFIX}"):
            if int(path.stem.rpartition("_")[2]) >= self._part:
                yield path


def _first_lines(lines: bytes, n: int) -> bytes:
    """Give the first `n` of whole lines."""
    if lines.count(b"\n") <= n:
        return lines
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    return lines[: int(ends[n - 1]) + 1]
