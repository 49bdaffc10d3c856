"""Learning curves thinned for a page: few points of many trials, and said how few.

What is left of a trial's evaluations is every k-th, with the first, the last and the one at the
target; the best trials of the submissions keep more. Everything is made once for a workload and
used by the picture and by the script that draws the same interactively.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.results import Results

N_POINTS = 40_000
"""Of all learning curves of a leaderboard together: what its page data has room for."""
N_POINTS_OF_BEST = 60
"""Of a best trial; the others share what is left."""
N_POINTS_LEAST = 6
N_POINTS_MOST = 60
_N_STEPS_OF_SCALE = 1000
"""Times and steps are written as whole thousandths of the largest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One trial's thinned evaluations."""

    submission: str
    study: int
    trial: int
    is_best: bool
    times: NDArray[np.float64]
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    """Of the validation metric; may be NaN or far away."""
    hit: int | None
    """The place of the first evaluation at the target."""
    n_evaluations: int
    """Before thinning."""


def n_points_of_others(results: Results) -> int:
    """Give how many points the curve of a trial that is nobody's best may have."""
    trials = results.board.trials
    n_best = int(trials["is_best"].sum())
    left = N_POINTS - N_POINTS_OF_BEST * n_best
    share = left // max(len(trials) - n_best, 1)
    return min(max(share, N_POINTS_LEAST), N_POINTS_MOST)


def curves_of(results: Results) -> dict[str, list[Curve]]:
    """Give by workload the curves of all trials that have evaluations, in the trials' order."""
    n_others = n_points_of_others(results)
    rows = results.runs.rows
    trial_R = rows["trial_id"].to_numpy()
    columns = [rows[name].to_numpy(dtype=np.float64) for name in ("time", "step", "validation")]
    found: dict[str, list[Curve]] = {name: [] for name in results.workloads}
    for trial_id, trial in zip(
        results.board.trials.index, results.board.trials.to_dict("records"), strict=True
    ):
        start, end = np.searchsorted(trial_R, [trial_id, trial_id + 1])
        if start == end or trial["workload"] not in found:
            continue
        hit = None
        if math.isfinite(trial["step_at_target"]):
            hit = int(np.flatnonzero(columns[1][start:end] == trial["step_at_target"])[0])
        n = N_POINTS_OF_BEST if trial["is_best"] else n_others
        kept = thinned(int(end - start), n, hit)
        times, steps, values = (column[start:end][kept] for column in columns)
        found[trial["workload"]].append(
            Curve(
                submission=trial["submission"],
                study=trial["study"],
                trial=trial["trial"],
                is_best=trial["is_best"],
                times=times,
                steps=steps,
                values=values,
                hit=None if hit is None else int(np.searchsorted(kept, hit)),
                n_evaluations=int(end - start),
            )
        )
    return found


def thinned(n: int, n_kept: int, hit: int | None) -> NDArray[np.intp]:
    """Give the places of every k-th of n evaluations, about n_kept, with the last and the hit.

    >>> thinned(10, 4, 4).tolist()
    [0, 3, 4, 6, 9]
    >>> thinned(3, 60, None).tolist()
    [0, 1, 2]
    """
    k = max(1, math.ceil((n - 1) / max(n_kept - 1, 1)))
    places = {*range(0, n, k), n - 1}
    return np.array(sorted(places if hit is None else {*places, hit}), dtype=np.intp)


def thinning_text(curves: Sequence[Curve]) -> str:
    """Say how much of the curves is shown."""
    n_shown, n_all = sum(len(c.times) for c in curves), sum(c.n_evaluations for c in curves)
    if n_shown == n_all:
        return f"All {n_all:,} evaluations are shown."
    best = [c for c in curves if c.is_best]
    n_best, n_of_best = sum(len(c.times) for c in best), sum(c.n_evaluations for c in best)
    return (
        f"Thinned: {n_shown:,} of {n_all:,} evaluations are shown (of the best trials {n_best:,} "
        f"of {n_of_best:,}): every k-th of a trial, its last, and the one at the target."
    )


def visible_range(curves: Sequence[Curve], trials: pd.DataFrame) -> tuple[float, float, bool]:
    """Give the range of the metric near the target, and whether it asks for a logarithmic axis.

    Diverged and first values may lie outside: the range is that of the best trials' later values,
    and of the target, which trials that go on may have left behind.
    """
    facts = trials.iloc[0]
    target = float(facts["target"])
    late = [c.values[len(c.values) // 4 :] for c in curves if c.is_best]
    values = np.concatenate([*late, np.array([target])])
    values = np.clip(values[np.isfinite(values)], -1e30, 1e30)
    low, high = float(values.min()), float(values.max())
    if facts["larger_is_better"]:
        low = min(float(np.quantile(values, 0.1)), target)
    else:
        high = max(float(np.quantile(values, 0.9)), target)
        if low > 0 and high > 20 * low:
            return low / 1.5, high * 1.3, True
    room = 0.1 * (high - low) or abs(high) * 0.1 or 1.0
    return low - room, high + room, False


def curves_data(results: Results, workload: str, curves: Sequence[Curve]) -> dict[str, Any]:
    """Give the page data of a workload's curves.

    A curve is [submission's rank place, study, trial, is best (0 or 1), place of the hit or -1,
    times, steps, values]: times and steps in thousandths of their largest, each as the difference
    to the one before; values to four digits, null where there is none.
    """
    trials = results.board.trials[results.board.trials["workload"] == workload]
    place = {name: i for i, name in enumerate(results.submissions)}
    longest = {
        "time": max((float(c.times[-1]) for c in curves), default=1.0) or 1.0,
        "step": max((float(c.steps[-1]) for c in curves), default=1.0) or 1.0,
    }
    low, high, is_log = visible_range(curves, trials)
    facts: Mapping[Any, Any] = trials.iloc[0].to_dict()
    return {
        "unit": results.board.unit,
        "metric": str(facts["metric"])[:60],
        "target": float(facts["target"]),
        "budget": float(trials["budget"].max()),
        "range": [low, high],
        "isLog": is_log,
        "longest": longest,
        "scale": _N_STEPS_OF_SCALE,
        "curves": [
            [
                place[c.submission],
                c.study,
                c.trial,
                int(c.is_best),
                -1 if c.hit is None else c.hit,
                _differences(c.times, longest["time"]),
                _differences(c.steps, longest["step"]),
                [_four_digits(value) for value in c.values.tolist()],
            ]
            for c in curves
        ],
    }


def _differences(values: NDArray[np.float64], longest: float) -> list[int]:
    whole = np.rint(values / longest * _N_STEPS_OF_SCALE).astype(np.int64)
    found: list[int] = np.diff(whole, prepend=0).tolist()
    return found


def _four_digits(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
