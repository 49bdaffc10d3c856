"""Reads pacebench's own run folders into records of trials and evaluations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pacebench.limits import limits_of
from pacebench.rows import EvalRow
from pacebench.spec import SPLITS
from scoring.tables import FAIRPLAY_UNKNOWN, ROW_COLUMNS
from scoring.trial_folder import TrialFolder

_FAIRPLAY = {"allow": "clean", "warn": "warnings", "deny": "denied"}
_ONE_CALL_A_STEP = ("make", "library")
"""Styles of submissions whose step is pacebench's own: it calls the model once."""


def trial_record(folder: TrialFolder) -> dict[str, Any]:
    """Give one trial as a record of `scoring.tables.TRIAL_COLUMNS`."""
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
        "fairplay": _FAIRPLAY.get(folder.fairplay, FAIRPLAY_UNKNOWN),
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
        "set_aside": "",
    }
    return {
        name: _encodable(value) if isinstance(value, str) else value
        for name, value in record.items()
    }


def row_table(folders: Sequence[tuple[int, TrialFolder]]) -> pd.DataFrame:
    """Give the evaluations of trials with their `trial_id`s."""
    records = [
        _row_record(trial_id, row, folder) for trial_id, folder in folders for row in folder.rows
    ]
    return pd.DataFrame(records, columns=list(ROW_COLUMNS)).astype(ROW_COLUMNS)


def _row_record(trial_id: int, row: EvalRow, folder: TrialFolder) -> dict[str, Any]:
    metric = folder.plan.rules.metric
    return {
        "trial_id": trial_id,
        "step": row.step,
        "time": row.step if row.seconds is None else row.seconds,
        **{split: row.metrics.get(f"{split}/{metric}", math.nan) for split in SPLITS},
        "model_evaluations": _model_evaluations(row.step, folder),
    }


def _model_evaluations(step: int, folder: TrialFolder) -> float:
    """Give how often a submission had called the model after a step; NaN if nobody counted."""
    if folder.plan.style in _ONE_CALL_A_STEP:
        return float(step)
    logged = [n for at, n in folder.logged_model_evaluations if at <= step]
    return logged[-1] if logged else math.nan


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def _encodable(text: str) -> str:
    """Replace half characters, which JSON can hold ("\\ud800") and no file can."""
    return text.encode("utf-8", "replace").decode()
