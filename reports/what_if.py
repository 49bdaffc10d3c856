"""What the browser needs to score again: the payload of `reports/static/scoring.js`.

Per cell the studies, and per trial the few evaluations near the target; so the browser makes
times, medians, gates, ratios, areas and ranks itself. Names are only shown: whatever refers to a
submission or a workload does so by place or by its key, which is safe in an address.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.paths import safe_name
from scoring import METHODS, Runs, Scoreboard
from scoring.methods import Method
from scoring.near_target import near_target, study_counts
from scoring.text import printable

RELAX_MAX = 0.05
"""By what share of its size a target can be made easier in the browser: as far as
`scoring.sensitivity.RELAXED` goes. Twice as far takes 1.4 times the bytes."""


def what_if_payload(runs: Runs, board: Scoreboard, relax_max: float = RELAX_MAX) -> dict[str, Any]:
    """Give everything that recomputing `board` in the browser needs, as values of strict JSON.

    `board` is the score of `runs`. Lists are by place: cells are submission * n_workloads +
    workload; `trials` are sorted by cell and study, each with the number `n` of its `evaluations`,
    which follow one another; trials that decide nothing are left out. `late` has the places of the
    evaluations after the budget.
    """
    submissions, columns = board.studies.submissions, board.columns
    trials = _cells_of(runs, board)
    rows = near_target(trials, runs.rows, relax_max)
    counts = study_counts(trials, submissions, columns)
    n_near = rows.groupby("trial_id").size()
    near = trials.loc[n_near.index].assign(n=n_near).sort_values(["cell", "study", "trial"])
    place = pd.Series(range(len(near)), index=near.index)
    rows = rows.assign(place=rows["trial_id"].map(place)).sort_values(["place", "evaluation"])
    return {
        "method": board.method.name,
        "unit": board.unit,
        "tauMax": board.tau_max,
        "nearBestFactor": board.score_rules.near_best_factor,
        "relaxMax": relax_max,
        "methods": [_method_fields(method) for method in METHODS.values()],
        "submissions": _submissions(board),
        "workloads": _workloads(trials, board),
        "planned": counts["n_planned"].tolist(),
        "evaluated": counts["n_evaluated"].tolist(),
        "trials": {name: near[name].tolist() for name in ("cell", "study", "n")},
        "evaluations": {
            "number": rows["evaluation"].tolist(),
            "step": rows["step"].tolist(),
            "time": rows["time"].tolist(),
            "value": rows["validation"].tolist(),
            "late": np.flatnonzero(rows["is_late"]).tolist(),
        },
    }


def _cells_of(runs: Runs, board: Scoreboard) -> pd.DataFrame:
    """Give the trials that count, each with its `cell`."""
    columns = board.columns
    trials = runs.trials[runs.trials["set_aside"] == ""]
    trials = trials[trials["workload"].isin(columns.names)]
    submission = pd.Index(board.studies.submissions).get_indexer(pd.Index(trials["submission"]))
    workload = pd.Index(columns.names).get_indexer(pd.Index(trials["workload"]))
    return trials.assign(cell=submission * len(columns.names) + workload)


def _submissions(board: Scoreboard) -> list[dict[str, Any]]:
    """Give names, keys and each one's place on the leaderboard."""
    places = {name: place for place, name in enumerate(board.table["submission"])}
    return [
        {"name": printable(name), "key": safe_name(name), "place": places[name]}
        for name in board.studies.submissions
    ]


def _workloads(trials: pd.DataFrame, board: Scoreboard) -> list[dict[str, Any]]:
    """Give names, targets and signs, base first; `base` is the base's place, None of a base."""
    columns = board.columns
    target = dict(zip(trials["workload"], trials["target"].tolist(), strict=True))
    is_larger = dict(zip(trials["workload"], trials["larger_is_better"].tolist(), strict=True))
    bases = [*[None] * len(columns.base), *columns.gated]
    return [
        {
            "name": printable(name),
            "key": safe_name(name),
            "sign": 1 if is_larger[name] else -1,
            "target": target[name],
            "base": base,
        }
        for name, base in zip(columns.names, bases, strict=True)
    ]


def _method_fields(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "isFewestEvaluationsFirst": method.is_fewest_evaluations_first,
        "isBudgetKept": method.is_budget_kept,
        "isMissingStudyMissed": method.is_missing_study_missed,
        "isBestBeforeGates": method.is_best_before_gates,
        "nGridPoints": method.n_grid_points,
    }
