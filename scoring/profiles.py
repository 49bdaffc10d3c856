"""Ratios to the best, the gates, performance profiles as exact steps, and the score under them.

Symbols, as in Dolan and Moré (2002), "Benchmarking optimization software with performance
profiles", and Dahl et al. (2023), "Benchmarking Neural Network Training Algorithms", section 4.3:

    t_sw     time of submission s on workload w; infinite for a miss
    r_sw     t_sw / min over submissions of t_sw
    rho_s(tau)   the share of the n base workloads with r_sw <= tau
    score        integral of rho_s over [1, tau_max], divided by tau_max - 1

The integral of one workload's step is tau_max - r, cut to [0, tau_max - 1]; so the score is
sum over w of clip(tau_max - r_sw, 0, tau_max - 1) / (n (tau_max - 1)), with no grid.

Arrays here may have any leading axes (resamples, variants); X stands for them, S for submissions,
W for the workloads of `scoring.score_rules.Columns`, base first, and B for its base workloads.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.methods import EXACT, Method
from scoring.score_rules import TAU_MAX, Columns, ScoreRules

Floats = NDArray[np.float64]


def ratios_to_best(times: pd.DataFrame) -> pd.DataFrame:
    """Give each time divided by the least of its column; both have submissions as rows.

    `times` holds positive times with workloads as columns, inf for a miss. A workload that nobody
    reached has only infinite ratios.
    """
    ratios = ratios_of(times.to_numpy(dtype=float))
    return pd.DataFrame(ratios, index=times.index, columns=times.columns)


def ratios_of(times_XSW: Floats) -> Floats:
    """Give the times divided by the least over the submissions; inf for a miss."""
    best_X1W = times_XSW.min(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratios = times_XSW / best_X1W
    ratios[times_XSW == best_X1W] = 1.0
    ratios[np.isinf(times_XSW)] = math.inf
    return np.asarray(ratios)


def gated_ratios(
    times_XSW: Floats, columns: Columns, rules: ScoreRules, method: Method = EXACT
) -> Floats:
    """Give the ratios of all columns after the gates; a base workload that fails is inf.

    Exact: a held-out variant fails if its ratio is above `near_best_factor`, and its base workload
    with it. (A base workload above the factor scores nothing anyway where tau_max is no larger.)

    AlgoPerf's code: a miss on the base makes the held-out variant a miss; every time above
    `near_best_factor` times the best left is a miss; a miss on the held-out variant makes the base
    a miss; only then times are divided by the best that is left.
    """
    n_base, gated = len(columns.base), list(columns.gated)
    if method.is_best_before_gates:
        ratios = ratios_of(times_XSW)
        is_failed = ~(ratios[..., n_base:] <= rules.near_best_factor)
        _close(ratios, gated, is_failed)
        return ratios
    times = times_XSW.copy()
    held_out = times[..., n_base:]
    held_out[np.isinf(times[..., gated])] = math.inf
    times[times > rules.near_best_factor * times.min(axis=-2, keepdims=True)] = math.inf
    _close(times, gated, np.isinf(held_out))
    return ratios_of(times)


def _close(values: Floats, gated: list[int], is_failed: NDArray[np.bool_]) -> None:
    """Make the base workloads of failed held-out variants misses, in place."""
    for i, base in enumerate(gated):
        values[..., base][is_failed[..., i]] = math.inf


def areas(ratios: Floats, tau_max: float = TAU_MAX, n_grid_points: int | None = None) -> Floats:
    """Give what each workload adds: the normalised area under its step, in [0, 1].

    With `n_grid_points` the trapezoid rule on that many points from 1 to tau_max.
    """
    if n_grid_points is None:
        area: Floats = np.clip(tau_max - ratios, 0.0, tau_max - 1.0) / (tau_max - 1.0)
        return area
    tau = np.linspace(1.0, tau_max, n_grid_points)
    n_above = n_grid_points - np.searchsorted(tau, ratios)
    ends = 0.5 * (n_above > 0) + 0.5 * (n_above == n_grid_points)
    return np.asarray((n_above - ends) / (n_grid_points - 1))


def mean_area(area_XSB: Floats) -> Floats:
    """Give the scores: means over the workloads, the same whatever the order of the workloads.

    Summed one after the other, because numpy's `sum` rounds by how an array lies in memory.
    """
    ordered = np.sort(area_XSB, axis=-1)
    return np.asarray(ordered.cumsum(axis=-1)[..., -1] / area_XSB.shape[-1])


def scores_of(
    times_XSW: Floats,
    columns: Columns,
    rules: ScoreRules,
    method: Method = EXACT,
    tau_max: float | None = None,
) -> Floats:
    """Give the scores of submissions from their times: the whole way, for any leading axes."""
    ratios = gated_ratios(times_XSW, columns, rules, method)[..., : len(columns.base)]
    return mean_area(areas(ratios, tau_max or rules.tau_max, method.n_grid_points))


def performance_profile(ratios: pd.DataFrame, tau_max: float = TAU_MAX) -> pd.DataFrame:
    """Give the steps of every submission's profile: columns `submission`, `tau`, `rho`.

    From each `tau` on (itself included) the share is `rho`, until the submission's next row. The
    first row of a submission is at tau = 1; only steps up to `tau_max` are given.
    """
    records = []
    for submission, row in zip(ratios.index, ratios.to_numpy(), strict=True):
        steps = sorted({1.0, *row[row <= tau_max].tolist()})
        records += [(submission, tau, float((row <= tau).mean())) for tau in steps]
    return pd.DataFrame(records, columns=["submission", "tau", "rho"])


def scores(ratios: pd.DataFrame, tau_max: float = TAU_MAX) -> pd.Series[float]:
    """Give every submission's score in [0, 1]: the normalised integral of its profile."""
    values = mean_area(areas(ratios.to_numpy(dtype=float), tau_max))
    return pd.Series(values, index=ratios.index, name="score", dtype="float64")
