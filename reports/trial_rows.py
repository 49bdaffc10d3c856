"""Rows of the tables of trials: how each ended, what it reached, and where its files are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pacebench.algoperf_logs import EVAL_FILE, HYPERPARAMETERS_FILE
from pacebench.errors import LogsError
from pacebench.rows import END_FILE, FAIRPLAY_FILE, META_FILE, PLAN_FILE, ROWS_FILE
from reports.paths import is_plain_file, submission_page_path, trial_path, workload_page_path
from reports.results import Results
from reports.values import point_texts
from scoring import Runs

COPIED_FILES = {
    PLAN_FILE: "plan",
    ROWS_FILE: "evaluations",
    META_FILE: "environment",
    END_FILE: "end",
    FAIRPLAY_FILE: "fair play",
    EVAL_FILE: "evaluations",
    HYPERPARAMETERS_FILE: "hyperparameters",
}
"""The files of a trial, pacebench's own or AlgoPerf's, that a website holds copies of."""


def copies_of(runs: Runs) -> dict[str, Path]:
    """Give by path in the website the trials' files that are copied, to check a score by.

    Links are left out: a trial's process may have made one to any file of this machine. Raises
    LogsError if two trials would share a folder.
    """
    made: dict[str, Path] = {}
    for trial in runs.trials.to_dict("records"):
        place, folder = trial_path(trial), Path(trial["folder"])
        found = folder.iterdir() if folder.is_dir() else ()
        there = {path.name for path in found if is_plain_file(path)}
        for name in COPIED_FILES:
            if name not in there:
                continue
            path = f"{place}/{name}"
            if path in made:
                raise LogsError(
                    f"two trials would share the folder {place}; rename one's submission"
                )
            made[path] = folder / name
    return made


def trial_rows(results: Results, copies: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Give the rows of all trials that count, in the order of the leaderboard, study and trial."""
    order = {name: i for i, name in enumerate(results.submissions)}
    looks, points = results.looks, points_by_trial(results.board.trials)
    rows = []
    for trial_id, trial in results.board.trials.to_dict("index").items():
        place = trial_path(trial)
        rows.append(
            {
                **{key: trial[key] for key in _SHOWN},
                "order": order[trial["submission"]],
                "look": looks[trial["submission"]],
                "submission_page": submission_page_path(trial["submission"]),
                "workload_page": workload_page_path(trial["workload"]),
                "is_reached": math.isfinite(trial["time_to_target"]),
                "time": trial["time_to_target"],
                "step": trial["step_at_target"],
                "best_value": ""
                if math.isnan(trial["best_validation"])
                else trial["best_validation"],
                "reason": trial["reason"].replace("_", " ") or "unfinished",
                "hyperparameters": points[trial_id],
                "files": [
                    (f"{place}/{name}", label)
                    for name, label in COPIED_FILES.items()
                    if f"{place}/{name}" in copies
                ],
            }
        )
    rows.sort(key=lambda row: (row["order"], row["workload"], row["study"], row["trial"]))
    return rows


_SHOWN = (
    *("submission", "workload", "study", "trial", "is_best"),
    *("best_validation", "message", "n_rows"),
)


def points_by_trial(trials: pd.DataFrame) -> dict[Any, list[tuple[str, str]]]:
    """Give by trial id the hyperparameters that tell it apart from its submission's others."""
    found: dict[Any, list[tuple[str, str]]] = {}
    for _, own in trials.groupby("submission"):
        texts = point_texts(own["hyperparameters"].tolist())
        found.update(zip(own.index.tolist(), texts, strict=True))
    return found


def grouped(rows: Sequence[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    """Give rows by one of their values, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found
