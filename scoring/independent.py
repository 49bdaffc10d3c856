"""Measures of a submission that say the same whatever other submissions are in the field.

A score on the leaderboard is relative to the best of the field. These are relative to frozen
times, to one chosen reference, or to nothing. Small exceptions, where the field comes in, are
stated with each function. All tables are sorted by submission; times are in the board's unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pacebench.errors import LogsError, unknown_name
from pacebench.seeds import Seed
from scoring.kaplan_meier import kaplan_meier
from scoring.leaderboard import Scoreboard
from scoring.planned_trials import planned_trials
from scoring.profiles import Floats, mean_area
from scoring.time_to_target import median_of_studies

ALL_WORKLOADS = "all"
"""In place of a workload: all base workloads together."""
_CELL = ["submission", "workload"]


def fixed_reference_scores(board: Scoreboard, reference: Mapping[str, float]) -> pd.DataFrame:
    """Give scores against frozen times: `submission`, `score` (in [0, 1]), `n_workloads`.

    `reference` has a time in the board's unit by base workload; others in it are passed over, and
    so are base workloads that it lacks. With r = time / reference the score is the area under the
    share of workloads with r <= tau, for tau from 0 to tau_max, divided by tau_max: the mean of
    clip(tau_max - r, 0, tau_max) / tau_max. The reference itself gets (tau_max - 1) / tau_max, and
    being faster counts. A base workload whose held-out variant was missed outright is missed; the
    part of the gate that asks for times near the field's best is left out here. Raises LogsError if
    no base workload has a reference time, or one of theirs is not positive and finite.
    """
    names = [name for name in board.columns.base if name in reference]
    if not names:
        raise LogsError(
            f"no reference time for any of {', '.join(board.columns.base)}; "
            f"there are: {', '.join(sorted(reference)) or 'none'}"
        )
    for name in names:
        if not 0.0 < reference[name] < math.inf:
            what = f"the reference time of {name} is {reference[name]}"
            raise LogsError(f"{what}; it must be finite and above 0")
    times = board.times.copy()
    for held_out, base in zip(board.columns.held_out, board.columns.gated, strict=True):
        times.loc[np.isinf(times[held_out]), board.columns.base[base]] = math.inf
    ratios = times[names].to_numpy() / np.array([reference[name] for name in names])
    area = np.clip(board.tau_max - ratios, 0.0, board.tau_max) / board.tau_max
    return pd.DataFrame(
        {"submission": times.index, "score": mean_area(area), "n_workloads": len(names)}
    )


def speedups(
    board: Scoreboard, reference: str, n_resamples: int = 10_000, seed: int = 0
) -> pd.DataFrame:
    """Give how many times as fast as the submission `reference` each one is; larger is better.

    Columns: `submission`, `speedup` (geometric mean over the base workloads of t_reference / t, as
    AlgoPerf documents it; its tool prints the inverse), `low` and `high` (95% interval, percentile
    bootstrap over studies), `n_workloads` and `n_bounds`. A miss is charged the workload's largest
    budget, which its time is at least, so its ratio is a bound: `n_bounds` counts the workloads
    that exactly one of the two missed. Where both did the ratio is 1. Gates play no part.

    Every submission's studies on every workload are resampled apart, from a seed of their own.
    `low` and `high` are NaN where the submission or the reference has fewer than 2 studies on a
    base workload. Raises UnknownNameError if there is no such submission.
    """
    submissions, base = board.studies.submissions, board.columns.base
    if reference not in submissions:
        raise unknown_name("submission", reference, submissions)
    r, n_base = submissions.index(reference), len(base)
    budget_B = board.trials.groupby("workload")["budget"].max().loc[list(base)].to_numpy()
    times_SBK = board.studies.times[:, :n_base]
    median_SB = median_of_studies(times_SBK)
    resampled_SBR = np.empty((*median_SB.shape, n_resamples))
    for s, submission in enumerate(submissions):
        for b, workload in enumerate(base):
            generator = Seed(seed).child(submission, workload).generator()
            resampled_SBR[s, b] = _resampled_medians(times_SBK[s, b], n_resamples, generator)
    log_S = _log_ratios(median_SB, budget_B, r).mean(axis=1)
    log_SR = _log_ratios(resampled_SBR, budget_B[:, None], r).mean(axis=1)
    low_S, high_S = np.quantile(log_SR, [0.025, 0.975], axis=1)
    is_missed_SB = np.isinf(median_SB)
    return pd.DataFrame(
        {
            "submission": submissions,
            "speedup": np.exp(log_S),
            "low": np.exp(low_S),
            "high": np.exp(high_S),
            "n_workloads": n_base,
            "n_bounds": (is_missed_SB != is_missed_SB[r]).sum(axis=1),
        }
    )


def _resampled_medians(times_K: Floats, n: int, generator: np.random.Generator) -> Floats:
    """Give n medians of studies drawn with replacement; NaN where fewer than 2 count."""
    counting = np.sort(times_K[~np.isnan(times_K)])  # so that the studies' order does not matter
    if len(counting) < 2:
        return np.full(n, math.nan)
    return median_of_studies(counting[generator.integers(len(counting), size=(n, len(counting)))])


def _log_ratios(times: Floats, budget: Floats, reference: int) -> Floats:
    """Give log(t_reference / t) with misses (inf) charged; the submissions are axis 0."""
    charged = np.where(np.isinf(times), budget, times)
    log_times = np.log(np.maximum(charged, np.finfo(float).tiny))  # a time of 0 has no logarithm
    return np.asarray(log_times[reference] - log_times)


def hit_rates(board: Scoreboard) -> pd.DataFrame:
    """Give the share of planned trials that reached the target, with Wilson's 95% interval.

    Columns: `submission`, `workload`, `n_hits`, `n_trials` (planned; one that is not there is a
    miss), `rate`, `low`, `high` (in [0, 1], larger is better). The last row of a submission has
    `ALL_WORKLOADS` for its workload and counts the base workloads. How many are planned where a
    submission has no trial at all is taken from the others. Wilson (1927), "Probable Inference".
    """
    from scipy.stats import binomtest

    trials = planned_trials(board)
    base = trials[trials["workload"].isin(board.columns.base)].assign(workload=ALL_WORKLOADS)
    counts = pd.concat([_counts(trials), _counts(base)], ignore_index=True)
    counts = counts.sort_values("submission", kind="stable", ignore_index=True)
    pairs = list(zip(counts["n_hits"], counts["n_trials"], strict=True))
    interval = {k_n: binomtest(*k_n).proportion_ci(method="wilson") for k_n in set(pairs)}
    return counts.drop(columns="time").assign(
        rate=counts["n_hits"] / counts["n_trials"],
        low=[interval[k_n].low for k_n in pairs],
        high=[interval[k_n].high for k_n in pairs],
    )


def expected_running_times(board: Scoreboard) -> pd.DataFrame:
    """Give the expected running time until a hit, if trials are run one after the other.

    Columns: `submission`, `workload`, `time` (less is better; inf without a hit), `n_hits`,
    `n_trials` (planned). It is the time of all planned trials divided by the number of hits, as in
    COCO (Hansen et al. 2021, "COCO: a platform for comparing continuous optimizers in a black-box
    setting"). Unlike there, every trial that did not hit costs the budget: one that crashed, left
    no evaluation or is not there would otherwise make a submission look fast.
    """
    counts = _counts(planned_trials(board))
    n_hits = counts["n_hits"].to_numpy()
    time = np.where(n_hits > 0, counts["time"] / np.maximum(n_hits, 1), math.inf)
    return counts.assign(time=time)


def _counts(trials: pd.DataFrame) -> pd.DataFrame:
    """Sum up planned trials by submission and workload, in their order."""
    groups = trials.groupby(_CELL, sort=False)
    named = groups.agg(time=("time", "sum"), n_hits=("is_hit", "sum"), n_trials=("is_hit", "size"))
    return named.reset_index()


def survival_curves(board: Scoreboard) -> pd.DataFrame:
    """Give the share of trials that have not reached the target yet: Kaplan and Meier's estimate.

    Columns: `submission`, `workload`, and `time`, `survival` (after it, until the next row; less is
    better), `low` and `high` of `scoring.kaplan_meier`, which says where the interval is NaN. A
    planned trial without a hit is censored at its budget: one that missed, crashed or is not there.
    """
    cells, tables = [], []
    for cell, trials in planned_trials(board).groupby(_CELL, sort=False):
        cells.append(cell)
        tables.append(kaplan_meier(trials["time"].to_numpy(), ~trials["is_hit"].to_numpy()))
    return pd.concat(tables, keys=cells, names=_CELL).reset_index(_CELL).reset_index(drop=True)


def wins_ties_losses(board: Scoreboard) -> pd.DataFrame:
    """Give how often a submission was faster than another on the base workloads.

    Columns: `submission`, `other`, `n_wins`, `n_ties`, `n_losses`: one row per ordered pair. From
    the ratios after the gates, and the gates look at the field's best. Equal ratios are a tie, two
    misses among them.
    """
    ratios = board.ratios[list(board.columns.base)]
    records = [
        {
            "submission": one,
            "other": other,
            "n_wins": int((ratios.loc[one] < ratios.loc[other]).sum()),
            "n_ties": int((ratios.loc[one] == ratios.loc[other]).sum()),
            "n_losses": int((ratios.loc[one] > ratios.loc[other]).sum()),
        }
        for one in ratios.index
        for other in ratios.index
        if one != other
    ]
    columns = ["submission", "other", "n_wins", "n_ties", "n_losses"]
    return pd.DataFrame(records, columns=columns)
