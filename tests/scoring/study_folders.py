"""Makes whole studies by hand: only the times at which their trials reach the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring import Scoreboard, read_runs, score_runs
from tests.scoring.run_folders import Left, add_trial

BUDGET = 100.0
"""Of `run_folders.RULES`, in seconds."""
Study = Sequence[float | None]
"""By trial the seconds to the target; None for a miss."""


def add_studies(
    runs: Path, submission: str, workload: str, studies: Sequence[Study], **changes: Any
) -> None:
    """Add studies of trials, planned as they are unless `n_studies` or `n_trials` say otherwise."""
    planned = {"n_studies": len(studies), "n_trials": max(map(len, studies)), **changes}
    for study, times in enumerate(studies):
        for trial, seconds in enumerate(times, start=1):
            hit = [] if seconds is None else [(seconds, 0.95)]
            place = {"submission": submission, "workload": workload, "study": study, "trial": trial}
            left = Left(reason="target" if hit else "budget")
            add_trial(runs, [(1.0, 0.2), *hit], left, **place, **planned)


def board_of(runs: Path) -> Scoreboard:
    """Score all that is below `runs`."""
    return score_runs(read_runs([runs]))


def one_each(runs: Path, times: dict[str, dict[str, float | None]], **changes: Any) -> Scoreboard:
    """Score submissions with a single trial on each workload; `times[submission][workload]`."""
    for submission, by_workload in times.items():
        for workload, seconds in by_workload.items():
            add_studies(runs, submission, workload, [[seconds]], **changes)
    return board_of(runs)
