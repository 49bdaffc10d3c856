"""Makes small folders of runs by hand: plans and evaluations without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pacebench.plan import TrialPlan, TrialRules
from pacebench.rows import END_FILE, META_FILE, PLAN_FILE, ROWS_FILE, EvalRow
from tests import support

RULES = replace(
    support.RULES,
    version="house",  # not shipped, so that nothing is said about workloads left out
    validation_target=0.9,
    budget_seconds=100.0,
    step_hint=1000,
    hint_seconds=100.0,
    eval_period_seconds=10.0,
)
PLAN = replace(
    support.PLAN,
    style="make",
    address="submission:make",
    source_hash="0" * 64,
    authors=("A. Author",),
    description="A description.",
    rules=RULES,
    hyperparameters={"learning_rate": 0.001},
    n_cores=2,
    sizes={"train": 100},
)
RULE_NAMES = {field.name for field in fields(TrialRules)}


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a trial leaves beside plan and evaluations."""

    reason: str | None = "target"
    message: str = ""
    hardware_class: str | None = "cpu-2"
    cut_line: str = ""
    """The start of a line that a kill cut off."""


def plan(**changes: Any) -> TrialPlan:
    """Give a plan with some fields (of the plan or of its rules) changed."""
    rules = {name: value for name, value in changes.items() if name in RULE_NAMES}
    own = {name: value for name, value in changes.items() if name not in RULE_NAMES}
    return replace(PLAN, rules=replace(RULES, **rules), **own)


def evaluation(step: int, seconds: float | None, value: float, metric: str = "accuracy") -> EvalRow:
    """Give a row whose metric has `value` on every split."""
    return EvalRow(
        step=step,
        seconds=seconds,
        metrics={f"{split}/{metric}": value for split in ("train", "validation", "test")},
    )


def write_trial(
    folder: Path, trial_plan: TrialPlan, rows: Sequence[EvalRow], left: Left | None = None
) -> Path:
    """Write a trial's files into exactly `folder`."""
    left = left or Left()
    folder.mkdir(parents=True)
    (folder / PLAN_FILE).write_text(trial_plan.to_json())
    text = "".join(f"{row.to_json()}\n" for row in rows) + left.cut_line
    (folder / ROWS_FILE).write_text(text)
    if left.hardware_class is not None:
        _write_json(folder / META_FILE, {"hardware_class": left.hardware_class, "python": "3.11"})
    if left.reason is not None:
        _write_json(folder / END_FILE, {"reason": left.reason, "message": left.message})
    return folder


def add_trial(
    runs: Path,
    values: Sequence[tuple[float, float]],
    left: Left | None = None,
    **changes: Any,
) -> Path:
    """Write a trial below `runs` from (time, value) pairs; its steps are 10 times its seconds."""
    trial_plan = plan(**changes)
    metric = trial_plan.rules.metric
    rows = [
        evaluation(int(time), None, value, metric)
        if trial_plan.clock == "steps"
        else evaluation(int(10 * time), time, value, metric)
        for time, value in values
    ]
    return write_trial(runs / trial_plan.folder(), trial_plan, rows, left)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value))
