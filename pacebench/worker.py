"""One rank of one trial: `python -m pacebench.worker FOLDER --rank R --launched-at T`.

This is the boundary of a trial, the one place that catches everything: whatever a submission does
becomes a reason in end.json, written by rank 0.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from pacebench.backends.base import Backend
from pacebench.clock import Clock, OneDevice, Section
from pacebench.environment import describe_machine, hardware_class, usable_cores
from pacebench.errors import DataError, StoreError
from pacebench.opening import open_trial
from pacebench.plan import TrialPlan, read_plan
from pacebench.rows import Reason
from pacebench.store import RunStore
from pacebench.trial import Progress, Trial, resume, run_trial
from pacebench.worker_codes import EXIT_ENDED, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_NOT_A_RESULT

ERROR_FILE = "traceback.txt"


class Interruption:
    """Remembers that a signal asked this process to stop."""

    def __init__(self) -> None:
        self.is_asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides what Ctrl-C means

    def _ask(self, *_: object) -> None:
        self.is_asked = True


class Worker:
    """The rank's parts, so that the boundary can say how far it came when something failed."""

    def __init__(self, folder: Path, rank: int, launched_at: float) -> None:
        self.interruption = Interruption()
        self.folder = folder
        self.rank = rank
        self.plan = read_plan(folder)
        self.store = RunStore(folder)
        unit: Any = self.plan.clock
        self.clock = Clock(unit=unit, started_at=launched_at)
        self.backend: Backend | None = None
        self.progress = Progress()

    def work(self) -> int:
        """Run the trial to its end; gives the exit code."""
        trial = self._set_up()
        tree = self.store.load_checkpoint()
        if tree is not None:
            self.progress = resume(trial, tree)
        elif self.rank == 0:
            self.store.rewind(0, 0, 0.0)
        reason = run_trial(trial, self.progress)
        if reason is None:
            return EXIT_INTERRUPTED
        if self.rank == 0:
            self.end(reason)
        return EXIT_ENDED

    def end(self, reason: Reason, **fields: Any) -> None:
        """Write how the trial ended, and rank 0's clocks up to now.

        The end is written once: of several ranks that fail, the first says why.
        """
        self.clock.switch(Section.OTHER)
        sections = self.clock.sections()
        if self.plan.clock == "seconds":
            fields |= {
                "submission_seconds": sections["submission"],
                "wall_seconds": sum(sections.values()),
            }
        if self.rank == 0:
            self.store.append_timing(self.progress.step, sections)
        self.store.write_end(reason, step=self.progress.step, **fields)

    def fail(self, error: BaseException) -> int:
        """Turn an exception into a reason, with its traceback in the folder."""
        is_memory = isinstance(error, MemoryError) or (
            self.backend is not None and self.backend.is_out_of_memory(error)
        )
        reason = Reason.OUT_OF_MEMORY if is_memory else Reason.ERROR
        text = "".join(traceback.format_exception(error))
        sys.stderr.write(text)
        name = ERROR_FILE if self.rank == 0 else f"rank_{self.rank}_{ERROR_FILE}"
        (self.folder / name).write_text(text)
        step = self.backend.run.step if self.backend is not None else 0
        message = f"{type(error).__name__}: {error}"[:2000]
        self.clock.device = OneDevice()  # neither the device nor the other ranks may answer again
        self.end(reason, message=message, failed_step=step)
        return EXIT_ERROR

    def _set_up(self) -> Trial:
        trial = open_trial(self.plan, self.store, self.clock, rank=self.rank)
        self.backend = trial.backend
        if self.rank == 0:
            self._write_meta(self.plan)
        return dataclasses.replace(trial, is_interrupted=lambda: self.interruption.is_asked)

    def _write_meta(self, plan: TrialPlan) -> None:
        assert self.backend is not None
        self.store.update_meta(
            machine=describe_machine(),
            framework=self.backend.environment(),
            hardware_class=hardware_class(plan.device, plan.n_devices, len(usable_cores())),
            compile_cache="own and empty at the start of every process",
        )


def main() -> int:
    """Run one rank; gives the exit code, which the supervisor reads."""
    parser = argparse.ArgumentParser(prog="pacebench.worker", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--launched-at", type=float, required=True)
    args = parser.parse_args()
    worker = Worker(args.folder, args.rank, args.launched_at)
    try:
        code = worker.work()
    except (StoreError, DataError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_NOT_A_RESULT
    except BaseException as error:  # noqa: BLE001 (the trial boundary: everything is a result)
        return _fail(worker, error)
    if worker.backend is not None:
        worker.backend.close()
    return code


def _fail(worker: Worker, error: BaseException) -> int:
    """Write a failure down; a disk that refuses it makes it no result."""
    try:
        return worker.fail(error)
    except (StoreError, OSError) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return EXIT_NOT_A_RESULT


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)  # threads that a submission left behind must not keep the process
