"""Reads AlgoPerf's log trees into tables: only the columns that a score needs, and all dirt."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pacebench import algoperf_logs as logs
from pacebench.algoperf_tree import LogTree, TrialPlace
from pacebench.errors import LogsError
from pacebench.rows import Reason
from pacebench.spec import SPLITS
from scoring.columns import Content, Request, read_columns
from scoring.tables import ROW_COLUMNS
from tuning.rules import Rules

HARDWARE_NOT_STATED = "not stated in the logs"
LEFT_OUT = "left out"
_TIME = ("accumulated_submission_time", logs.SCORE)


def read_places(
    places: Sequence[TrialPlace], rules: Rules, splits: Sequence[str]
) -> tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, str]]]:
    """Give records of the trials, their evaluations (`trial_id` counts the records), and dirt.

    The target, the budget and the number of trials are those of `rules`, which must know all
    workloads. `splits` are those of which the target metric is read.
    """
    requests = [_request(place, rules, splits) for place in places]
    there = [i for i, place in enumerate(places) if logs.EVAL_FILE in place.files]
    contents = dict(zip(there, read_columns([requests[i] for i in there]), strict=True))
    blank = Content(f"no {logs.EVAL_FILE}", (), 0)
    records, parts, dirt = [], [], []
    for trial_id, place in enumerate(places):
        content = contents.get(trial_id, blank)
        columns = _in_order([np.asarray(column) for column in content.columns], requests[trial_id])
        n_rows = len(columns[0]) if columns else 0
        point = _hyperparameters(place)
        if point is None:
            dirt.append(_dirt(place, f"damaged {logs.HYPERPARAMETERS_FILE}", ""))
        records.append(_trial_record(place, rules, n_rows, point or ""))
        dirt += [_dirt(place, *found) for found in _dirt_of(content, n_rows, columns)]
        if n_rows:
            parts.append((trial_id, columns))
    return records, _row_table(parts, splits), dirt


def tree_dirt(tree: LogTree) -> Iterator[dict[str, str]]:
    """Give what is out of place in the tree itself."""
    for dirt in tree.dirt:
        yield {
            "kind": dirt.kind,
            "submission": dirt.submission,
            "where": dirt.where,
            "effect": LEFT_OUT,
        }


def _request(place: TrialPlace, rules: Rules, splits: Sequence[str]) -> Request:
    metric = rules.workload(place.workload).metric
    names = tuple((f"{split}/{metric}",) for split in splits)
    return Request(f"{place.folder}/{logs.EVAL_FILE}", ((logs.STEP,), _TIME, *names))


def _in_order(columns: list[NDArray[np.float64]], request: Request) -> list[NDArray[np.float64]]:
    """Leave out rows without step or time, and put rows in order that are not."""
    if not columns:
        return columns
    is_whole = np.isfinite(columns[0]) & np.isfinite(columns[1])
    columns = columns if is_whole.all() else [column[is_whole] for column in columns]
    if (np.diff(columns[0]) > 0).all():
        return columns
    (again,) = read_columns([Request(request.path, ((logs.STEP,), _TIME, (logs.PREEMPTIONS,)))])
    preemptions = np.nan_to_num(np.asarray(again.columns[2])[is_whole])
    order = logs.rows_in_order(columns[0].tolist(), preemptions.tolist())
    return [column[order] for column in columns]


def _dirt_of(
    content: Content, n_rows: int, columns: Sequence[NDArray[np.float64]]
) -> Iterator[tuple[str, str]]:
    if content.error:
        yield (content.error if content.error.startswith("no ") else _damaged(content.error)), ""
        return
    n_read = len(content.columns[0])
    n_damaged = content.n_damaged + int(np.isnan(content.columns[0]).sum())
    if not n_rows:
        yield f"{logs.EVAL_FILE} without evaluations", ""
    if n_damaged:
        yield "damaged lines, left out", str(n_damaged)
    if n_rows < n_read - n_damaged:
        yield "steps made again after a preemption, the earlier left out", str(n_read - n_rows)
    n_blank = int(np.isnan(columns[2]).sum()) if n_rows else 0
    if n_blank:
        yield "blank or NaN values of the target metric", str(n_blank)


def _damaged(error: str) -> str:
    return f"unreadable {logs.EVAL_FILE} ({error})"


def _dirt(place: TrialPlace, kind: str, detail: str) -> dict[str, str]:
    where = f"{place.name}: {detail}" if detail else place.name
    return {"kind": kind, "submission": place.submission, "where": where, "effect": "no hit"}


def _trial_record(
    place: TrialPlace, rules: Rules, n_rows: int, hyperparameters: str
) -> dict[str, Any]:
    limits = rules.workload(place.workload)
    target = limits.scoring_validation_target
    return {
        "submission": place.submission,
        "framework": place.framework,
        "workload": place.workload,
        "study": place.study,
        "trial": place.trial,
        "n_studies": rules.studies,
        "n_trials": rules.trials_per_study(place.ruleset),
        "rules": rules.version,
        "ruleset": place.ruleset,
        "unit": "seconds",
        "metric": limits.metric,
        "larger_is_better": limits.larger_is_better,
        "target": limits.validation_target if target is None else target,
        "budget": limits.budget_seconds * rules.budget_factor[place.ruleset],
        "hyperparameters": hyperparameters,
        "seed": 0,
        "batch_size": 0,
        "source_hash": "",
        "authors": "",
        "description": "",
        "deviations": (),
        "hardware_class": HARDWARE_NOT_STATED,
        "reason": str(Reason.UNKNOWN),
        "message": "",
        "n_rows": n_rows,
        "is_truncated": False,
        "meta": "{}",
        "folder": place.folder,
        "set_aside": "",
    }


def _hyperparameters(place: TrialPlace) -> str | None:
    """Give the point as JSON; empty if there is no file, None if it is damaged."""
    if logs.HYPERPARAMETERS_FILE not in place.files:
        return ""
    try:
        point = logs.read_json_object(Path(place.folder, logs.HYPERPARAMETERS_FILE))
    except LogsError:
        return None
    return json.dumps(point)


def _row_table(
    parts: Sequence[tuple[int, Sequence[NDArray[np.float64]]]], splits: Sequence[str]
) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=list(ROW_COLUMNS)).astype(ROW_COLUMNS)
    n_rows = [len(columns[0]) for _, columns in parts]
    step, time, *metrics = (np.concatenate(c) for c in zip(*(c for _, c in parts), strict=True))
    absent = np.full(len(step), math.nan)
    read = dict(zip(splits, metrics, strict=True))
    return pd.DataFrame(
        {
            "trial_id": np.repeat([trial_id for trial_id, _ in parts], n_rows),
            "step": step.astype(np.int64),
            "time": time,
            **{split: read.get(split, absent) for split in SPLITS},
            "model_evaluations": absent,
        }
    )
