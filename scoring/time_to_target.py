"""Times to the target: of a trial, of a study, of a workload. A miss is infinite.

A trial's time is the submission time of its first evaluation whose validation metric meets the
target; evaluations after the budget count as not made. Meeting is not strict (>= or <=), as in
AlgoPerf's scoring, while a running trial stops only once it is strictly better. NaN never meets a
target. How a trial ended does not matter: a target that was reached before a crash was reached.

A study's time is the least over its trials; a workload's is the median over the studies that were
planned. Where AlgoPerf's code differs `scoring.methods.Method` has a field for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.methods import EXACT, Method
from scoring.score_rules import Columns

COSTS = {
    "time": "time_to_target",
    "steps": "step_at_target",
    "evaluations": "evaluation_at_target",
    "model_evaluations": "model_evaluations_at_target",
}
"""What a target may be charged in, and the column of `trial_times` that holds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyTimes:
    """The times of all studies as one array, which everything statistical is computed from."""

    submissions: tuple[str, ...]
    columns: Columns
    times: NDArray[np.float64]
    """Shape SWK, submissions by workloads (`columns.names`) by studies: inf for a miss, NaN for a
    study that does not count."""
    studies: tuple[int, ...]
    """The numbers of the studies along the last axis."""


def trial_times(
    trials: pd.DataFrame, rows: pd.DataFrame, method: Method = EXACT, relaxed: float = 0.0
) -> pd.DataFrame:
    """Give the trials with more columns of float64, from the evaluations that count.

    `time_to_target`, `step_at_target`, `evaluation_at_target` (counted from 1) and
    `model_evaluations_at_target` (also inf where not logged) are inf for a miss; `best_validation`
    is NaN if there is no value. `relaxed` makes every target easier by a share of its size: 0.01
    turns 0.9 into 0.891, or into 0.909 where less is better. Takes the tables of `scoring.read`;
    the order of their rows does not matter.
    """
    rows = sorted_rows(rows)
    trial_R = trials.index.get_indexer(pd.Index(rows["trial_id"]))
    sign = signs(trials)
    goal = goals(trials, relaxed)
    value_R = sign[trial_R] * rows["validation"].to_numpy()
    time_R = rows["time"].to_numpy()
    counts_R = trial_R >= 0
    if method.is_budget_kept:
        counts_R &= time_R <= trials["budget"].to_numpy()[trial_R]
    met = np.flatnonzero(counts_R & (value_R >= goal[trial_R]))
    hit, at = np.unique(trial_R[met], return_index=True)
    first_R = met[at]
    start = np.searchsorted(rows["trial_id"].to_numpy(), trials.index.to_numpy()[hit])
    best = np.full(len(trials), -math.inf)
    is_value = counts_R & ~np.isnan(value_R)
    np.maximum.at(best, trial_R[is_value], value_R[is_value])
    model_evaluations = rows["model_evaluations"].to_numpy()[first_R]
    return trials.assign(
        time_to_target=_filled(len(trials), hit, time_R[first_R]),
        step_at_target=_filled(len(trials), hit, rows["step"].to_numpy()[first_R]),
        evaluation_at_target=_filled(len(trials), hit, first_R - start + 1),
        model_evaluations_at_target=_filled(
            len(trials), hit, np.where(np.isnan(model_evaluations), math.inf, model_evaluations)
        ),
        best_validation=np.where(np.isneginf(best), math.nan, sign * best),
    )


def signs(trials: pd.DataFrame) -> NDArray[np.float64]:
    """Give by trial 1, or -1 where less is better: what turns a metric so that more is better."""
    return np.where(trials["larger_is_better"].to_numpy(dtype=bool), 1.0, -1.0)


def goals(trials: pd.DataFrame, relaxed: float = 0.0) -> NDArray[np.float64]:
    """Give by trial the target, turned by its sign, made easier by a share of its size."""
    sign, target = signs(trials), trials["target"].to_numpy()
    return np.asarray(sign * (target - sign * relaxed * np.abs(target)))


def sorted_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Give evaluations in the order of their trials and steps."""
    trial, step = rows["trial_id"].to_numpy(), rows["step"].to_numpy()
    is_sorted = (trial[1:] > trial[:-1]) | ((trial[1:] == trial[:-1]) & (step[1:] > step[:-1]))
    return rows if is_sorted.all() else rows.sort_values(["trial_id", "step"])


def _filled(n: int, places: NDArray[np.intp], values: NDArray[np.generic]) -> NDArray[np.float64]:
    filled = np.full(n, math.inf)
    filled[places] = values
    return filled


def best_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Give the one trial of each submission and workload that came first to the target.

    If none reached it, the one that came closest; of equals the first in study and trial. Takes
    what `trial_times` gives; keeps its index and columns.
    """
    sign = signs(trials)
    distance = (trials["target"] - trials["best_validation"]) * sign
    ordered = trials.assign(distance=distance.clip(lower=0.0)).sort_values(
        ["time_to_target", "distance", "study", "trial"], na_position="last"
    )
    first = ordered.drop_duplicates(["submission", "workload"])
    return trials[trials.index.isin(first.index)]


def study_times(
    trials: pd.DataFrame, columns: Columns, method: Method = EXACT, cost: str = "time"
) -> StudyTimes:
    """Give the time of every study of every submission on the workloads of `columns`.

    Takes what `trial_times` gives, without trials that are set aside. `cost` is one of COSTS.
    """
    submissions, sub_T = np.unique(trials["submission"].to_numpy(dtype=object), return_inverse=True)
    studies, study_T = np.unique(trials["study"].to_numpy(), return_inverse=True)
    workload_T = pd.Index(columns.names).get_indexer(pd.Index(trials["workload"]))
    planned = trials["n_studies"].to_numpy()
    n_slots = max(len(studies), int(planned.max(initial=1)))
    counts = workload_T >= 0
    if not method.is_missing_study_missed:
        counts &= trials["n_rows"].to_numpy() > 0
    shape = (len(submissions), len(columns.names), n_slots)
    cell_T = np.ravel_multi_index((sub_T[counts], workload_T[counts], study_T[counts]), shape)
    costs = trials[COSTS[cost]].to_numpy()[counts]
    keys = [trials["trial"].to_numpy()[counts], costs]
    if method.is_fewest_evaluations_first:
        keys.append(trials["evaluation_at_target"].to_numpy()[counts])
    order = np.lexsort([*keys, cell_T])
    cells, first = np.unique(cell_T[order], return_index=True)
    times_SWK = np.full(shape, math.nan)
    times_SWK.reshape(-1)[cells] = costs[order][first]
    if method.is_missing_study_missed:
        n_planned_SW = np.zeros(shape[:2], dtype=np.int64)
        np.maximum.at(n_planned_SW, (sub_T[counts], workload_T[counts]), planned[counts])
        _fill_missing(times_SWK, n_planned_SW)
    return StudyTimes(
        submissions=tuple(submissions),
        columns=columns,
        times=times_SWK,
        studies=(*studies.tolist(), *range(-1, len(studies) - n_slots - 1, -1)),
    )


def _fill_missing(times_SWK: NDArray[np.float64], n_planned_SW: NDArray[np.int64]) -> None:
    """Make planned studies that are not there misses."""
    is_absent = np.isnan(times_SWK)
    n_missing_SW = n_planned_SW - (~is_absent).sum(axis=2)
    times_SWK[is_absent & (is_absent.cumsum(axis=2) <= n_missing_SW[:, :, None])] = math.inf


def median_of_studies(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the median along the last axis, where inf is a miss and NaN does not count.

    Of an even number it is the mean of the two in the middle, infinite if one of them is; of none
    it is infinite.

    >>> median_of_studies(np.array([[30.0, 10.0, 20.0], [30.0, np.inf, 10.0]])).tolist()
    [20.0, 30.0]
    >>> median_of_studies(np.array([[30.0, 10.0, np.nan], [30.0, np.inf, np.nan]])).tolist()
    [20.0, inf]
    """
    ordered = np.sort(times, axis=-1)  # NaN last
    n = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0), axis=-1)
    high = np.take_along_axis(ordered, np.minimum(n // 2, times.shape[-1] - 1), axis=-1)
    middle = np.where(low == high, low, (low + high) / 2)
    return np.where(n > 0, middle, math.inf)[..., 0]


def workload_times(
    trials: pd.DataFrame, columns: Columns, method: Method = EXACT, cost: str = "time"
) -> pd.DataFrame:
    """Give the median time over the studies: submissions by workloads, inf for a miss.

    Takes what `trial_times` gives, without trials that are set aside.
    """
    studies = study_times(trials, columns, method, cost)
    return pd.DataFrame(
        median_of_studies(studies.times),
        index=pd.Index(studies.submissions, name="submission", dtype="str"),
        columns=pd.Index(columns.names, name="workload", dtype="str"),
    )


def study_table(trials: pd.DataFrame, columns: Columns, method: Method = EXACT) -> pd.DataFrame:
    """Give the same one row a study: `submission`, `workload`, `study`, `time`.

    A planned study that is not there has a row with a negative number.
    """
    studies = study_times(trials, columns, method)
    index = pd.MultiIndex.from_product(
        [studies.submissions, columns.names, studies.studies],
        names=["submission", "workload", "study"],
    )
    table = pd.DataFrame({"time": studies.times.reshape(-1)}, index=index)
    return table.dropna().reset_index()
