"""Ratios to the best, performance profiles as exact steps, and the score under them.

Symbols, as in Dolan and Moré (2002), "Benchmarking optimization software with performance
profiles", and Dahl et al. (2023), "Benchmarking Neural Network Training Algorithms", section 4.3:

    t_sw     time of submission s on workload w; infinite for a miss
    r_sw     t_sw / min over submissions of t_sw
    rho_s(tau)   the share of the n workloads with r_sw <= tau
    score        integral of rho_s over [1, tau_max], divided by tau_max - 1

The integral of one workload's step is tau_max - r, cut to [0, tau_max - 1]; so the score is
sum over w of clip(tau_max - r_sw, 0, tau_max - 1) / (n (tau_max - 1)), with no grid.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

TAU_MAX = 4.0
"""The largest ratio that counts: AlgoPerf's rules and scoring code, `max_tau`."""


def ratios_to_best(times: pd.DataFrame) -> pd.DataFrame:
    """Give each time divided by the least of its column; both have submissions as rows.

    `times` holds positive times with workloads as columns, inf for a miss. A workload that nobody
    reached has only infinite ratios.
    """
    times_SW = times.to_numpy(dtype=float)
    best_W = times_SW.min(axis=0)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratios_SW = times_SW / best_W
    ratios_SW[times_SW == best_W] = 1.0
    ratios_SW[np.isinf(times_SW)] = math.inf
    return pd.DataFrame(ratios_SW, index=times.index, columns=times.columns)


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
    """Give every submission's score in [0, 1]: the normalised integral of its profile.

    Sums are rounded once, so that equal ratios in another order give equal scores.
    """
    areas = np.clip(tau_max - ratios.to_numpy(), 0.0, tau_max - 1.0)
    norm = ratios.shape[1] * (tau_max - 1.0)
    values = [math.fsum(row) / norm for row in areas.tolist()]
    return pd.Series(values, index=ratios.index, name="score", dtype="float64")
