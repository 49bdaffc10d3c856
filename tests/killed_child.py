"""A trial on the fake device that kills itself (SIGKILL) inside its n-th write to the disk.

python -m tests.killed_child FOLDER N
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pacebench.trial import Progress, resume, run_trial
from tests.support import PLAN, FakeBackend, FakeTime, fake_trial, with_rules

N_STEPS = 200


def main(folder: Path, n: int) -> None:
    """Run or resume the trial, dying half way through write number `n` or the sync after it."""
    counter = iter(range(1, 1_000_000))
    write, sync = os.write, os.fsync

    def dying_write(descriptor: int, data: Any) -> int:
        if next(counter) == n:
            write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    def dying_sync(descriptor: int) -> None:
        if next(counter) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.write, os.fsync = dying_write, dying_sync  # type: ignore[assignment] (a fault put in)
    plan = dataclasses.replace(
        with_rules(PLAN, budget_seconds=1e9, max_steps=N_STEPS, eval_period_seconds=1.0),
        clock="steps",
        checkpoint_period_seconds=2.0,
    )
    trial = fake_trial(plan, FakeBackend(time=FakeTime()), folder)
    tree = trial.store.load_checkpoint()
    if tree is None:
        trial.store.rewind(0, 0, 0.0)
        progress = Progress()
    else:
        progress = resume(trial, tree)
    run_trial(trial, progress)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
