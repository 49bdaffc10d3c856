"""Exact times to the target: of a trial, of a study, of a workload. A miss is infinite.

A trial's time is the submission time of its first evaluation whose validation metric meets the
target and that is within the budget. Meeting is not strict (>= or <=), as in AlgoPerf's scoring,
while a running trial stops only once it is strictly better. NaN never meets a target. How a trial
ended does not matter: a target that was reached before a crash was reached.

A study's time is the least over its trials; a workload's is the median over the studies that were
planned. This differs from AlgoPerf's code, which picks a study's trial by the fewest evaluations,
counts only the studies present and does not look at the budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd


def trial_times(trials: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Give the trials with three more columns of float64, from evaluations within the budget.

    `time_to_target` (inf for a miss), `step_at_target` (NaN for a miss) and `best_validation` (NaN
    if there is no value). Takes the tables of `scoring.read`.
    """
    joined = rows.join(trials[["target", "budget", "larger_is_better"]], on="trial_id")
    joined = joined[joined["time"] <= joined["budget"]]
    sign = np.where(joined["larger_is_better"].to_numpy(dtype=bool), 1.0, -1.0)
    is_met = sign * joined["validation"] >= sign * joined["target"]
    first = joined[is_met].drop_duplicates("trial_id").set_index("trial_id")
    best = (sign * joined["validation"]).groupby(joined["trial_id"]).max().reindex(trials.index)
    return trials.assign(
        time_to_target=first["time"].reindex(trials.index).fillna(math.inf),
        step_at_target=first["step"].astype("float64").reindex(trials.index),
        best_validation=best.where(trials["larger_is_better"], -best),
    )


def best_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Give the one trial of each submission and workload that came first to the target.

    If none reached it, the one that came closest; of equals the first in study and trial. Takes
    what `trial_times` gives; keeps its index and columns.
    """
    sign = np.where(trials["larger_is_better"].to_numpy(dtype=bool), 1.0, -1.0)
    distance = (trials["target"] - trials["best_validation"]) * sign
    ordered = trials.assign(distance=distance.clip(lower=0.0)).sort_values(
        ["submission", "workload", "time_to_target", "distance", "study", "trial"],
        na_position="last",
    )
    first = ordered.drop_duplicates(["submission", "workload"])
    return trials[trials.index.isin(first.index)]


def study_times(trials: pd.DataFrame) -> pd.DataFrame:
    """Give one row per submission, workload and study with the least `time_to_target`.

    Takes what `trial_times` gives. Only studies that have trials have a row.
    """
    keys = ["submission", "workload", "study"]
    return trials.groupby(keys, as_index=False, sort=True)[["time_to_target"]].min()


def workload_times(trials: pd.DataFrame) -> pd.DataFrame:
    """Give one row per submission and workload: `time`, `n_studies`, `n_studies_reached`.

    `time` is the median over `n_studies`, the planned ones; a planned study without trials is a
    miss. Takes what `trial_times` gives.
    """
    studies = study_times(trials)
    keys = ["submission", "workload"]
    planned = trials.groupby(keys)["n_studies"].max().to_dict()
    records = []
    for (submission, workload), group in studies.groupby(keys, sort=True):
        times = group["time_to_target"].tolist()
        n_studies = max(int(planned[submission, workload]), len(times))
        records.append(
            {
                "submission": submission,
                "workload": workload,
                "time": median_with_misses(times, n_studies),
                "n_studies": n_studies,
                "n_studies_reached": sum(map(math.isfinite, times)),
            }
        )
    return pd.DataFrame(records)


def median_with_misses(times: Sequence[float], n_studies: int) -> float:
    """Give the median of `times` filled up with misses to `n_studies` of them.

    Of an even number it is the mean of the two in the middle, infinite if one of them is.

    >>> median_with_misses([30.0, 10.0, 20.0], 3), median_with_misses([30.0, 10.0], 4)
    (20.0, inf)
    >>> median_with_misses([30.0, 10.0], 3), median_with_misses([30.0, 10.0], 2)
    (30.0, 20.0)
    """
    reached = sorted(time for time in times if math.isfinite(time))
    low, high = (n_studies - 1) // 2, n_studies // 2
    if high >= len(reached):
        return math.inf
    return (reached[low] + reached[high]) / 2
