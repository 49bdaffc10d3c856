"""The few facts that scores come from: studies that count, and evaluations near the target.

They are small enough to send to a browser, which then scores again by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.methods import METHODS
from scoring.score_rules import Columns
from scoring.time_to_target import goals, signs, sorted_rows

_CELL = ["submission", "workload"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def near_target(trials: pd.DataFrame, rows: pd.DataFrame, relaxed: float) -> pd.DataFrame:
    """Give the evaluations that decide the times of studies, to their target or to an easier one.

    `relaxed` is by what share of its size a target is made easier at most. Columns: `trial_id`,
    `evaluation` (its number in the trial, counted from 1), `step`, `time`, `validation` and
    `is_late` (after the budget); sorted by trial and evaluation. Whatever the share from 0 to
    `relaxed`, by every method of `scoring.methods`, in time and in steps: a study costs the same
    if each of its trials has only the evaluations given here. Takes the tables of `scoring.read`,
    without trials that are set aside.
    """
    near = _first_hits(trials, rows, relaxed)
    own = trials.loc[near["trial_id"]]
    value, goal = signs(own) * near["validation"].to_numpy(), goals(own)
    studies = own.groupby([*_CELL, "study"], sort=False).ngroup().to_numpy()
    is_kept = np.zeros(len(near), dtype=bool)
    for places in pd.Series(range(len(near))).groupby(studies).indices.values():
        study, hardest = near.iloc[places], goal[places[0]]
        is_kept[places] = _decides(study, value[places], np.minimum(value[places], hardest))
    return near[is_kept].reset_index(drop=True)


def _first_hits(trials: pd.DataFrame, rows: pd.DataFrame, relaxed: float) -> pd.DataFrame:
    """Give the evaluations that are some trial's first at its target or at an easier one."""
    rows = sorted_rows(rows)
    trial_R = trials.index.get_indexer(pd.Index(rows["trial_id"]))
    value_R = signs(trials)[trial_R] * rows["validation"].to_numpy()
    start_R = np.searchsorted(rows["trial_id"].to_numpy(), rows["trial_id"].to_numpy())
    near_N = np.flatnonzero((trial_R >= 0) & (value_R >= goals(trials, relaxed)[trial_R]))
    trial_N, value_N = trial_R[near_N], value_R[near_N]
    goal_N = goals(trials)[trial_N]
    is_late_N = rows["time"].to_numpy()[near_N] > trials["budget"].to_numpy()[trial_N]
    is_first_N = _is_record(trial_N, value_N, goal_N)
    in_time = np.flatnonzero(~is_late_N)
    is_first_N[in_time] |= _is_record(trial_N[in_time], value_N[in_time], goal_N[in_time])
    kept_R = near_N[is_first_N]
    table = rows.iloc[kept_R][["trial_id", "step", "time", "validation"]].assign(
        evaluation=kept_R - start_R[kept_R] + 1, is_late=is_late_N[is_first_N]
    )
    columns = ["trial_id", "evaluation", "step", "time", "validation", "is_late"]
    return table[columns].reset_index(drop=True)


def _is_record(trial_N: NDArray[np.intp], value_N: Floats, goal_N: Floats) -> Bools:
    """Say of each value whether it is above all before it in its trial, which missed the goal."""
    so_far = pd.Series(value_N).groupby(trial_N).cummax()
    before = so_far.groupby(trial_N).shift(fill_value=-math.inf).to_numpy()
    return np.asarray((value_N > before) & (before < goal_N))


def _decides(study: pd.DataFrame, value_N: Floats, goal_G: Floats) -> Bools:
    """Say of a study's evaluations which are chosen for some goal, by some method and cost.

    Leaving out the others makes their trials' first hits later, so they stay unchosen; but only if
    later is not cheaper. Where a clock runs backwards all are kept.
    """
    trial_N = study["trial_id"].to_numpy()
    time_N = study["time"].to_numpy()
    if ((time_N[1:] < time_N[:-1]) & (trial_N[1:] == trial_N[:-1])).any():
        return np.ones(len(study), dtype=bool)
    is_chosen_N = np.zeros(len(study) + 1, dtype=bool)  # the last place stands for no hit
    costs = {name: np.append(study[name], math.inf) for name in ("evaluation", "time", "step")}
    goals_in_order = np.unique(goal_G)
    for method in METHODS.values():
        counts_N = ~study["is_late"].to_numpy() if method.is_budget_kept else np.True_
        hits_TG = np.stack(
            [
                _hits(np.flatnonzero(counts_N & (trial_N == trial)), value_N, goals_in_order)
                for trial in np.unique(trial_N)
            ]
        )
        for cost in ("time", "step"):
            keys = [costs[cost][hits_TG]]
            if method.is_fewest_evaluations_first:
                keys.append(costs["evaluation"][hits_TG])
            chosen_G = np.lexsort(keys, axis=0)[:1]
            is_chosen_N[np.take_along_axis(hits_TG, chosen_G, axis=0)] = True
    return is_chosen_N[:-1]


def _hits(places: NDArray[np.intp], value_N: Floats, goal_G: Floats) -> NDArray[np.intp]:
    """Give for each goal the first of `places` whose value meets it; len(value_N) if none does."""
    best = np.maximum.accumulate(value_N[places])
    return np.append(places, len(value_N))[np.searchsorted(best, goal_G)]


def study_counts(
    trials: pd.DataFrame, submissions: Sequence[str], columns: Columns
) -> pd.DataFrame:
    """Give how many studies a median is over: one row per submission and workload, in their order.

    Columns: `n_planned` (those that are not there included; 0 without any trial) and `n_evaluated`
    (those with an evaluation). Takes trials that are not set aside.
    """
    groups = trials.groupby(_CELL)
    n_planned = groups["n_studies"].max().clip(lower=groups["study"].nunique())
    n_evaluated = trials[trials["n_rows"] > 0].groupby(_CELL)["study"].nunique()
    counts = pd.DataFrame({"n_planned": n_planned, "n_evaluated": n_evaluated})
    cells = pd.MultiIndex.from_product([submissions, columns.names], names=_CELL)
    return counts.reindex(cells).fillna(0).astype("int64").reset_index()
