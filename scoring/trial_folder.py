"""Finds trial folders and reads what one of them holds; nothing is judged here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacebench.algoperf_tree import LogTree, find_trials
from pacebench.errors import LogsError
from pacebench.plan import TrialPlan, read_plan
from pacebench.rows import (
    END_FILE,
    FAIRPLAY_FILE,
    META_FILE,
    METRICS_FILE,
    MODEL_EVALUATIONS,
    PLAN_FILE,
    ROWS_FILE,
    EvalRow,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialFolder:
    """What one trial left on disk."""

    path: Path
    plan: TrialPlan
    rows: tuple[EvalRow, ...]
    logged_model_evaluations: tuple[tuple[int, float], ...]
    """(step, calls of the model so far), in the order of the file; empty if not logged."""
    is_truncated: bool
    """Whether the last line of the rows was cut off and left out."""
    end: dict[str, Any] | None
    """The end's record with its reason; None while the trial has not ended."""
    meta: dict[str, Any]
    """The environment; empty while the trial has not started."""
    fairplay: str = ""
    """The level of the verdict on the submission's source; empty if there is none."""


def find_trial_folders(paths: Sequence[Path]) -> list[Path]:
    """Give the trial folders at or below `paths`, each once, sorted; they hold a trial.json.

    A website of ours below a path is passed over, because it holds copies; named as a path itself,
    its copies are what is read. Raises LogsError if a path does not exist.
    """
    return own_runs([find_tree(path) for path in paths])


def find_tree(path: Path) -> LogTree:
    """Give everything at or below a folder; raises LogsError if there is no such folder."""
    if not path.is_dir():
        raise LogsError(f"no folder {path}; give the folder that 'pacebench run --out' wrote")
    return find_trials(path)


def own_runs(trees: Sequence[LogTree]) -> list[Path]:
    """Give the folders of pacebench's own trials, each once, sorted."""
    return sorted({Path(folder) for tree in trees for folder in tree.own_runs})


def read_plans(folders: Sequence[Path]) -> list[tuple[Path, TrialPlan]]:
    """Give every trial folder with its plan."""
    return [(folder, read_plan(folder)) for folder in folders]


def no_trials(paths: Sequence[Path]) -> LogsError:
    """Give the error for folders without any trial."""
    return LogsError(
        f"no trials in {', '.join(map(str, paths))}: nowhere below is a "
        f"study_<k>/<workload>_<framework>/trial_<i>/{PLAN_FILE}; 'pacebench run' writes them"
    )


def read_trial_folder(path: Path, plan: TrialPlan) -> TrialFolder:
    """Read the rows, the end and the environment beside a plan; raises LogsError if damaged."""
    rows, is_truncated = _read_rows(path / ROWS_FILE, plan.clock)
    end = _read_object(path / END_FILE)
    if end is not None and not isinstance(end.get("reason"), str):
        raise LogsError(f"{path / END_FILE} names no reason; {_RUN_AGAIN}")
    return TrialFolder(
        path=path,
        plan=plan,
        rows=tuple(rows),
        logged_model_evaluations=tuple(_read_model_evaluations(path / METRICS_FILE)),
        is_truncated=is_truncated,
        end=end,
        meta=_read_object(path / META_FILE) or {},
        fairplay=str((_read_object(path / FAIRPLAY_FILE) or {}).get("level", "")),
    )


_MOST_STEPS = 2**53
"""Beyond, a step is no whole number as a float any more."""
_DAMAGED = (
    *(ValueError, KeyError, TypeError, AttributeError),
    *(OverflowError, RecursionError),  # of an integer of 400 digits, of 10,000 brackets
)
_RUN_AGAIN = "delete the trial's folder and run again, or score without it"


def _read_rows(path: Path, clock: str) -> tuple[list[EvalRow], bool]:
    """Read the whole lines of a rows file, and whether an unfinished line follows them."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], False
    *lines, rest = data.split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_read_row(line, clock))
        except _DAMAGED as error:
            raise LogsError(
                f"{path}, line {number}, is not an evaluation ({error}); {_RUN_AGAIN}"
            ) from error
    return rows, bool(rest)


def _read_model_evaluations(path: Path) -> Iterator[tuple[int, float]]:
    """Read one of the numbers that a submission logs; what is not a number of it is passed over."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for line in lines:
        if MODEL_EVALUATIONS.encode() not in line:
            continue
        try:
            record = json.loads(line)
            yield int(record["step"]), float(record["metrics"][MODEL_EVALUATIONS])
        except _DAMAGED:
            continue


def _read_row(line: bytes, clock: str) -> EvalRow:
    row = EvalRow.from_json(line)
    if abs(row.step) > _MOST_STEPS:
        raise ValueError(f"its step is {row.step:.3g}")
    if clock == "steps":
        return replace(row, seconds=None)
    if not (isinstance(row.seconds, int | float) and math.isfinite(row.seconds)):
        raise ValueError(f"its seconds are {row.seconds!r}")
    return row


def _read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if there is no file."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise LogsError(f"{path} is not valid JSON ({error}); {_RUN_AGAIN}") from error
    if not isinstance(value, dict):
        raise LogsError(f"{path} holds no JSON object; {_RUN_AGAIN}")
    return value
