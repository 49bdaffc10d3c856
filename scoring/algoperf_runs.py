"""Reads AlgoPerf's log trees into tables: only the columns that a score needs, and all dirt."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pacebench import algoperf_logs as logs
from pacebench.algoperf_tree import LogTree, TrialPlace
from pacebench.errors import LogsError
from pacebench.rows import Reason
from scoring.columns import Content, Request, read_columns
from scoring.dirt import NO_EFFECT
from scoring.read import RunSelection, request_of
from scoring.tables import FAIRPLAY_UNKNOWN, ROW_COLUMNS
from tuning.rules import Rules

HARDWARE_NOT_STATED = "not stated in the logs"
LEFT_OUT = "left out"
_STEP_LIMIT = 2.0**53
"""A step at or above this is damage: float64 no longer tells whole numbers apart."""
_NO_FILE = Content(f"no {logs.EVAL_FILE}", (), 0)


def read_places(
    places: Sequence[TrialPlace], contents: Iterator[Content], rules: Rules, selection: RunSelection
) -> tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, str]]]:
    """Give records of the trials, their evaluations (`trial_id` counts the records), and dirt.

    `contents` are those of the places that have evaluations, as `scoring.read` asks for them. The
    target, the budget and the number of trials are those of `rules`, which must know all workloads.
    """
    all_contents = [next(contents) if logs.EVAL_FILE in p.files else _NO_FILE for p in places]
    requests = [request_of(place, rules, selection.splits) for place in places]
    rows, n_damaged, n_replaced = _rows(requests, all_contents, selection.splits)
    n_rows = np.bincount(rows["trial_id"], minlength=len(places))
    is_blank = np.isnan(rows[selection.splits[0]])
    n_blank = np.bincount(rows["trial_id"][is_blank], minlength=len(places))
    counts = (
        ("damaged lines, left out", n_damaged),
        ("steps made again after a preemption, the earlier left out", n_replaced),
        ("blank or NaN values of the target metric", n_blank),
    )
    dirt = [
        _dirt(places[i], kind, str(n[i])) for kind, n in counts for i in np.flatnonzero(n).tolist()
    ]
    records = []
    for place, content, n in zip(places, all_contents, n_rows.tolist(), strict=True):
        if content.error:
            dirt.append(_dirt(place, _unreadable(content.error), ""))
        elif not n:
            dirt.append(_dirt(place, f"{logs.EVAL_FILE} without evaluations", ""))
        point = _hyperparameters(place) if selection.with_hyperparameters else ""
        if point is None:
            damaged = _dirt(place, f"damaged {logs.HYPERPARAMETERS_FILE}", "")
            dirt.append({**damaged, "effect": NO_EFFECT})
        records.append(_trial_record(place, rules, n, point or ""))
    return records, _row_table(rows), dirt


def tree_dirt(tree: LogTree) -> Iterator[dict[str, str]]:
    """Give what is out of place in the tree itself."""
    for dirt in tree.dirt:
        yield {
            "kind": dirt.kind,
            "submission": dirt.submission,
            "where": dirt.where,
            "effect": LEFT_OUT,
        }


def _rows(
    requests: Sequence[Request], contents: Sequence[Content], splits: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.intp], NDArray[np.intp]]:
    """Give the columns of all evaluations that count, sorted by trial and step.

    Beside them for each trial how many lines were damaged, and how many were replaced by those of
    a process after a preemption.
    """
    columns, n_damaged = _joined(contents, splits)
    n_replaced = np.zeros(len(contents), dtype=np.intp)
    is_back = (np.diff(columns["step"]) <= 0) & (np.diff(columns["trial_id"]) == 0)
    if is_back.any():
        contents = list(contents)
        for i in np.unique(columns["trial_id"][1:][is_back]).tolist():
            contents[i], n_replaced[i] = _in_order(requests[i])
        columns, n_damaged = _joined(contents, splits)
    return columns, n_damaged, n_replaced


def _joined(
    contents: Sequence[Content], splits: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.intp]]:
    """Put the files' columns behind each other; rows without step or time are damaged."""
    n_rows = [len(c.columns[0]) // 8 if c.columns else 0 for c in contents]
    columns: dict[str, NDArray[Any]] = {"trial_id": np.repeat(np.arange(len(contents)), n_rows)}
    for i, name in enumerate(("step", "time", *splits)):
        columns[name] = np.frombuffer(b"".join(c.columns[i] for c in contents if c.columns))
    is_whole = _is_whole(columns["step"], columns["time"])
    n_damaged = np.array([content.n_damaged for content in contents], dtype=np.intp)
    n_damaged += np.bincount(columns["trial_id"][~is_whole], minlength=len(contents))
    return {name: column[is_whole] for name, column in columns.items()}, n_damaged


def _in_order(request: Request) -> tuple[Content, int]:
    """Read a file again whose steps go back (a preemption, or lines in another order), and sort it.

    Gives beside it how many rows were replaced.
    """
    (again,) = read_columns([request._replace(columns=(*request.columns, (logs.PREEMPTIONS,)))])
    table = [np.frombuffer(column) for column in again.columns]
    is_whole = _is_whole(table[0], table[1])
    *columns, preemptions = (column[is_whole] for column in table)
    order = logs.rows_in_order(columns[0].tolist(), np.nan_to_num(preemptions).tolist())
    content = Content(
        "",
        tuple(column[order].tobytes() for column in columns),
        again.n_damaged + int((~is_whole).sum()),
    )
    return content, len(columns[0]) - len(order)


def _is_whole(step: NDArray[np.float64], time: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (np.abs(step) < _STEP_LIMIT) & np.isfinite(time)


def _unreadable(error: str) -> str:
    is_absent = error == _NO_FILE.error
    return error if is_absent else f"unreadable {logs.EVAL_FILE} ({error})"


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
        "fairplay": FAIRPLAY_UNKNOWN,
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
        return json.dumps(point, allow_nan=False)
    except (LogsError, ValueError):
        return None


def _row_table(rows: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    absent = np.full(len(rows["step"]), math.nan)
    table = pd.DataFrame({name: rows.get(name, absent) for name in ROW_COLUMNS})
    return table.astype(ROW_COLUMNS)
