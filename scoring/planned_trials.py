"""Lays out every trial that was planned, those that are not there included, and what it is charged.

Counts and costs per trial start from here, so that a submission is not the better for leaving
trials out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scoring.dirt import number_in
from scoring.leaderboard import Scoreboard

_CELL = ["submission", "workload"]


def planned_trials(board: Scoreboard) -> pd.DataFrame:
    """Give one row per planned trial of every submission on every workload of `board.columns`.

    Columns: `submission`, `workload`, `study` (negative if none of the study is there), `is_hit`,
    `time` (charged, in the board's unit: to the target for a hit; the budget for all else, be it a
    miss, a crash, a trial without evaluations or one that is not there) and `n_rows` (evaluations;
    0 if it is not there). Sorted, and the rows of a submission's study stay together.

    How many are planned is what the trials on that workload say, at most: studies times trials per
    study. Where a submission has no trial at all, what those of the others on it say.
    """
    plans = _plans(board)
    n_studies, n_trials = plans["n_studies"].to_numpy(), plans["n_trials"].to_numpy()
    size_C = n_studies * n_trials
    cell_P = np.repeat(np.arange(len(plans)), size_C)
    start_C = np.cumsum(size_C) - size_C
    slot_P = (np.arange(len(cell_P)) - start_C[cell_P]) // n_trials[cell_P]  # which study

    trials = board.trials
    cell_T = plans.index.get_indexer(pd.MultiIndex.from_frame(trials[_CELL]))
    study_T = number_in(trials, _CELL, "study").to_numpy()
    trial_T = number_in(trials, [*_CELL, "study"], "trial").to_numpy()
    place_T = start_C[cell_T] + study_T * n_trials[cell_T] + trial_T
    is_hit_T = np.isfinite(trials["time_to_target"].to_numpy())
    n_there_C = np.zeros(len(plans), dtype=np.int64)
    np.maximum.at(n_there_C, cell_T, study_T + 1)

    number_P = n_there_C[cell_P] - slot_P - 1  # -1 for the first study that is not there
    number_C = np.full((len(plans), int(n_studies.max(initial=1))), -1)
    number_C[cell_T, study_T] = trials["study"]
    time_P = plans["budget"].to_numpy()[cell_P]
    time_P[place_T] = np.where(is_hit_T, trials["time_to_target"], trials["budget"])
    is_hit_P = np.zeros(len(cell_P), dtype=bool)
    is_hit_P[place_T] = is_hit_T
    n_rows_P = np.zeros(len(cell_P), dtype=np.int64)
    n_rows_P[place_T] = trials["n_rows"]
    return pd.DataFrame(
        {
            "submission": plans.index.get_level_values(0)[cell_P],
            "workload": plans.index.get_level_values(1)[cell_P],
            "study": np.where(number_P < 0, number_P, number_C[cell_P, slot_P]),
            "time": time_P,
            "is_hit": is_hit_P,
            "n_rows": n_rows_P,
        }
    )


def _plans(board: Scoreboard) -> pd.DataFrame:
    """Give `n_studies`, `n_trials` and `budget` of all submissions on all workloads, in order."""
    what = ["n_studies", "n_trials", "budget"]
    cells = pd.MultiIndex.from_product(
        [board.studies.submissions, board.columns.names], names=_CELL
    )
    own = board.trials.groupby(_CELL)[what].max().reindex(cells)
    of_workload = board.trials.groupby("workload")[what].max()
    others = of_workload.loc[cells.get_level_values("workload")].set_axis(cells)
    return own.fillna(others).astype({"n_studies": "int64", "n_trials": "int64"})
