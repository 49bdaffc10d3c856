"""The promise that a trial which was stopped ends as if it had not been."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from pacebench.rows import Reason
from pacebench.trial import Progress, Trial, resume, run_trial


def check_resuming(open_in: Callable[[Path], Trial], folder: Path) -> None:
    """Run a trial of six steps whole, and stopped after four; all bytes must be equal.

    `open_in(folder)` opens the same trial at or below a folder, where it may have begun.
    """
    whole = open_in(folder / "whole")
    assert run_trial(whole, Progress()) is Reason.MAX_STEPS

    stops = iter([False, False, False, True])
    first = dataclasses.replace(open_in(folder / "halves"), is_interrupted=lambda: next(stops))
    assert run_trial(first, Progress()) is None
    second = open_in(folder / "halves")
    progress = resume(second, second.store.load_checkpoint())
    assert progress.step == 4
    assert run_trial(second, progress) is Reason.MAX_STEPS
    for name in ("rows.jsonl", "checkpoint/state.npz"):
        written, expected = (trial.store.folder / name for trial in (second, whole))
        assert written.read_bytes() == expected.read_bytes()
