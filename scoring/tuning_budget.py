"""What a number of tuning trials buys: how likely one of k hits, and how soon.

For k trials drawn without replacement from the n of a study, of which m miss, with charged times
x_(1) <= ... <= x_(n):

    P(a hit) = 1 - C(m, k) / C(n, k)
    E[min]   = sum over i of x_(i) C(n - i, k - 1) / C(n, k)

The second counts the draws in which x_(i) is the least: the other k - 1 come from the n - i after
it. Both are exact, with nothing drawn at random. Dodge et al. (2019), "Show Your Work: Improved
Reporting of Experimental Results", has the same curve for draws with replacement.
"""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.leaderboard import Scoreboard
from scoring.planned_trials import planned_trials


def tuning_budget(board: Scoreboard) -> pd.DataFrame:
    """Give what k tuning trials reach, averaged over the studies that count.

    Columns: `submission`, `workload`, `n_trials` (k, from 1 to those planned per study),
    `hit_probability` (in [0, 1], larger is better) and `expected_time` (in the board's unit, less
    is better): the mean of the least time, with everything that did not hit charged the budget. It
    is a lower bound wherever `hit_probability` is below 1. A planned trial that is not there is a
    miss, and so are all of a planned study that is not there, if the board's method counts it.
    """
    trials = planned_trials(board)
    if not board.method.is_missing_study_missed:
        trials = _of_evaluated_studies(trials)
    records = []
    for (submission, workload), cell in trials.groupby(["submission", "workload"], sort=False):
        shape = (cell["study"].nunique(), -1)
        time_KN = cell["time"].to_numpy().reshape(shape)
        is_hit_KN = cell["is_hit"].to_numpy().reshape(shape)
        for k in range(1, time_KN.shape[1] + 1):
            records.append(
                {
                    "submission": submission,
                    "workload": workload,
                    "n_trials": k,
                    "hit_probability": _hit_probability(is_hit_KN, k),
                    "expected_time": _expected_least(time_KN, k),
                }
            )
    return pd.DataFrame(records)


def _of_evaluated_studies(trials: pd.DataFrame) -> pd.DataFrame:
    """Leave out studies without any evaluation, but for submissions that have no other."""
    cell = ["submission", "workload"]
    n_rows = trials.groupby([*cell, "study"])["n_rows"].transform("sum")
    return trials[(n_rows > 0) | (trials.groupby(cell)["n_rows"].transform("sum") == 0)]


def _hit_probability(is_hit_KN: NDArray[np.bool_], k: int) -> float:
    """Give the chance that one of k trials hits, averaged over studies K of N trials."""
    n = is_hit_KN.shape[1]
    n_missed_K = n - is_hit_KN.sum(axis=1)
    return 1.0 - float(np.mean([comb(int(m), k) / comb(n, k) for m in n_missed_K]))


def _expected_least(time_KN: NDArray[np.float64], k: int) -> float:
    """Give the mean least time of k trials, averaged over studies K of N trials."""
    n = time_KN.shape[1]
    weight_N = np.array([comb(n - i, k - 1) / comb(n, k) for i in range(1, n + 1)])
    return float((np.sort(time_KN, axis=1) @ weight_N).mean())
