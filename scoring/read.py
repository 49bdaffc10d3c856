"""Reads run folders into two typed tables, one of trials and one of their evaluations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pacebench.limits import limits_of
from pacebench.rows import EvalRow
from pacebench.spec import SPLITS
from scoring.checks import check_comparable, select_plans
from scoring.trial_folder import TrialFolder, read_plans, read_trial_folder

TRIAL_COLUMNS = {
    "submission": "str",
    "framework": "str",
    "workload": "str",
    "study": "int64",  # counted from 0
    "trial": "int64",
    "n_studies": "int64",  # planned
    "n_trials": "int64",  # planned, per study
    "rules": "str",  # the rules' version
    "ruleset": "str",  # external or self
    "unit": "str",  # of all times: seconds or steps
    "metric": "str",  # without split
    "larger_is_better": "bool",
    "target": "float64",  # of the validation metric
    "budget": "float64",  # in the unit
    "hyperparameters": "str",  # JSON, keys sorted
    "seed": "uint64",
    "batch_size": "int64",
    "source_hash": "str",  # sha256 of the submission's code
    "authors": "str",
    "description": "str",
    "deviations": "object",  # tuple of str: what makes a score not a full score
    "hardware_class": "str",  # empty if the trial has not started
    "reason": "str",  # why it ended; empty while it has not
    "message": "str",  # what the end says beside the reason
    "n_rows": "int64",
    "is_truncated": "bool",  # whether a cut-off last line was left out
    "meta": "str",  # the environment as JSON, keys sorted
    "folder": "str",  # absolute path
}
"""Columns and dtypes of the table of trials; one row per trial, indexed by `trial_id`."""

ROW_COLUMNS = {
    "trial_id": "int64",
    "step": "int64",  # the evaluation was made after this step
    "time": "float64",  # charged so far, in the unit
    "train": "float64",  # the target metric on each split; NaN if not finite or absent
    "validation": "float64",
    "test": "float64",
}
"""Columns and dtypes of the table of evaluations; the order within a trial is the file's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSelection:
    """Which of the runs found are scored, and what may be mixed."""

    rules: str | None = None
    ruleset: str | None = None
    is_mixed_hardware_allowed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """Trials that can be scored against each other, with their evaluations."""

    trials: pd.DataFrame
    """See TRIAL_COLUMNS; sorted by submission, workload, study and trial."""
    rows: pd.DataFrame
    """See ROW_COLUMNS."""
    rules: str
    ruleset: str
    unit: str
    """"seconds" or "steps"."""


def read_runs(paths: Sequence[Path], selection: RunSelection | None = None) -> Runs:
    """Read all trials at or below `paths`.

    Raises LogsError if there are none, if some are damaged, or if they cannot be compared: several
    rule versions, rulesets, clocks or targets, one trial twice, or (unless allowed) several
    hardware classes. Raises PlanError for a plan of another version.
    """
    selection = selection or RunSelection()
    plans = select_plans(read_plans(paths), rules=selection.rules, ruleset=selection.ruleset)
    folders = [read_trial_folder(path, plan) for path, plan in plans]
    folders.sort(key=_order)
    trials = pd.DataFrame(
        [_trial_record(folder) for folder in folders], columns=list(TRIAL_COLUMNS)
    ).astype(TRIAL_COLUMNS)
    trials.index.name = "trial_id"
    check_comparable(trials, is_mixed_hardware_allowed=selection.is_mixed_hardware_allowed)
    records = [
        _row_record(trial_id, row, folder.plan.rules.metric)
        for trial_id, folder in enumerate(folders)
        for row in folder.rows
    ]
    first = folders[0].plan
    return Runs(
        trials=trials,
        rows=pd.DataFrame(records, columns=list(ROW_COLUMNS)).astype(ROW_COLUMNS),
        rules=first.rules.version,
        ruleset=first.rules.ruleset,
        unit=first.clock,
    )


def _order(folder: TrialFolder) -> tuple[Any, ...]:
    plan = folder.plan
    return plan.submission, plan.workload, plan.framework, plan.study, plan.trial, str(folder.path)


def _trial_record(folder: TrialFolder) -> dict[str, Any]:
    plan, end = folder.plan, folder.end or {}
    record = {
        "submission": plan.submission,
        "framework": plan.framework,
        "workload": plan.workload,
        "study": plan.study,
        "trial": plan.trial,
        "n_studies": plan.n_studies,
        "n_trials": plan.n_trials,
        "rules": plan.rules.version,
        "ruleset": plan.rules.ruleset,
        "unit": plan.clock,
        "metric": plan.rules.metric,
        "larger_is_better": plan.rules.larger_is_better,
        "target": plan.rules.validation_target,
        "budget": limits_of(plan).budget,
        "hyperparameters": _to_json(plan.hyperparameters),
        "seed": plan.seed,
        "batch_size": plan.batch_size,
        "source_hash": plan.source_hash,
        "authors": ", ".join(plan.authors),
        "description": plan.description,
        "deviations": plan.deviations,
        "hardware_class": str(folder.meta.get("hardware_class") or ""),
        "reason": str(end.get("reason", "")),
        "message": str(end.get("message") or ""),
        "n_rows": len(folder.rows),
        "is_truncated": folder.is_truncated,
        "meta": _to_json(folder.meta),
        "folder": str(folder.path),
    }
    return {
        name: _encodable(value) if isinstance(value, str) else value
        for name, value in record.items()
    }


def _row_record(trial_id: int, row: EvalRow, metric: str) -> dict[str, Any]:
    values = {split: row.metrics.get(f"{split}/{metric}", math.nan) for split in SPLITS}
    time = row.step if row.seconds is None else row.seconds
    return {"trial_id": trial_id, "step": row.step, "time": time, **values}


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def _encodable(text: str) -> str:
    """Replace half characters, which JSON can hold ("\\ud800") and no file can."""
    return text.encode("utf-8", "replace").decode()
