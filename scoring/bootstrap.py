"""How sure the ranks are: scores and ranks of resampled studies.

A bootstrap (Efron, 1979) stratified as in Agarwal et al. (2021), "Deep Reinforcement Learning at
the Edge of the Statistical Precipice": of every submission and workload its n studies are drawn n
times with replacement, independently of all others, and the whole score is made again, medians,
best times and gates included. Percentiles of 10,000 such scores are the intervals.

What it cannot know is in docs/uncertainty.md: above all that few studies make it too sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.leaderboard import Scoreboard
from scoring.profiles import Floats, scores_of
from scoring.time_to_target import StudyTimes

CONFIDENCE = 0.95
N_RESAMPLES = 10_000
_CHUNK = 1_000
"""Resamples made at once, which bounds the memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sureness:
    """How sure scores and ranks are, submissions in the order of the leaderboard."""

    table: pd.DataFrame
    """`submission`, `score_low`, `score_high`, `rank_low` (the better), `rank_high`, `p_best` and
    `band`, counted from 1: ranks whose order is not decided share one. NaN, and one band, if no
    cell has two studies."""
    pairs: pd.DataFrame
    """Submissions by submissions: the probability that the row's is before the column's; a tie
    counts half, so a pair adds up to 1."""
    n_resamples: int
    n_studies: int
    """The most studies that a submission has on a workload."""
    n_single: int
    """Pairs of submission and workload with a single study: their spread is unknown and left out,
    which makes everything here too sure."""


def how_sure(board: Scoreboard, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Sureness:
    """Give intervals, probabilities and bands for a scoreboard; the same seed gives the same."""
    names = list(board.table["submission"])
    n_SW = (~np.isnan(board.studies.times)).sum(axis=2)
    n_studies = int(n_SW.max(initial=0))
    order = [board.studies.submissions.index(name) for name in names]
    if n_studies > 1:
        scores_XS = resampled_scores(board, n_resamples, seed)[:, order]
    else:
        scores_XS = np.full((1, len(names)), math.nan)
    pairs_SS = _pairs(scores_XS)
    table = pd.DataFrame({"submission": names, **_intervals(scores_XS)})
    return Sureness(
        table=table.assign(band=bands(pairs_SS)),
        pairs=pd.DataFrame(pairs_SS, index=names, columns=names),
        n_resamples=n_resamples,
        n_studies=n_studies,
        n_single=int((n_SW == 1).sum()),
    )


def resampled_scores(board: Scoreboard, n_resamples: int, seed: int) -> Floats:
    """Give the scores of resamples: resamples by submissions (as in `board.studies`)."""
    rng = np.random.default_rng(seed)
    chunks = []
    for start in range(0, n_resamples, _CHUNK):
        times_XSW = resampled_medians(board.studies, min(_CHUNK, n_resamples - start), rng)
        chunks.append(
            scores_of(times_XSW, board.columns, board.score_rules, board.method, board.tau_max)
        )
    return np.concatenate(chunks)


def resampled_medians(studies: StudyTimes, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Give medians over studies drawn with replacement: resamples by submissions by workloads.

    Times are sorted once, so that the median of a draw is the time at the middle of its places.
    """
    n_slots = studies.times.shape[2]
    times_SWK = np.sort(studies.times, axis=2)  # misses, then what does not count, last
    times_SWK = np.concatenate([times_SWK, np.full_like(times_SWK[..., :1], math.inf)], axis=2)
    n_SW1 = (~np.isnan(studies.times)).sum(axis=2, keepdims=True, dtype=np.int16)
    drawn = rng.random((n_resamples, *studies.times.shape), dtype=np.float32)
    drawn *= n_SW1
    place_XSWK = np.minimum(drawn.astype(np.int16), n_SW1 - 1)  # float32 may round up to n
    np.putmask(place_XSWK, np.broadcast_to(np.arange(n_slots) >= n_SW1, drawn.shape), n_slots)
    place_XSWK.sort(axis=3)
    row_SW = np.arange(n_SW1.size).reshape(n_SW1.shape[:2]) * (n_slots + 1)
    low, high = (
        times_SWK.reshape(-1)[row_SW + _at(place_XSWK, middle)]
        for middle in (np.maximum(n_SW1 - 1, 0) // 2, np.minimum(n_SW1 // 2, n_slots - 1))
    )
    return np.asarray(np.where(low == high, low, (low + high) / 2))


def _at(place_XSWK: NDArray[np.int16], middle_SW1: NDArray[np.int16]) -> NDArray[np.int16]:
    """Give the places in the middle: of equal counts by slicing, which is ten times faster."""
    first = int(middle_SW1.flat[0])
    if (middle_SW1 == first).all():
        return place_XSWK[..., first]
    middle = np.broadcast_to(middle_SW1, (len(place_XSWK), *middle_SW1.shape))
    return np.take_along_axis(place_XSWK, middle, axis=3)[..., 0]


def bands(pairs_SS: Floats) -> list[int]:
    """Give each submission's band: a new one begins where all above are surely before all below.

    `pairs_SS` holds P(row before column), in the order of the leaderboard.

    >>> bands(np.array([[0.5, 0.99, 0.99], [0.01, 0.5, 0.7], [0.01, 0.3, 0.5]]))
    [1, 2, 2]
    """
    band, found = 1, []
    for i in range(len(pairs_SS)):
        if i and (pairs_SS[:i, i:] >= CONFIDENCE).all():
            band += 1
        found.append(band)
    return found


def _intervals(scores_XS: Floats) -> dict[str, Floats]:
    tail = 50 * (1 - CONFIDENCE)
    ranks_XS = 1 + (scores_XS[:, :, None] < scores_XS[:, None, :]).sum(axis=2)
    is_best_XS = scores_XS == scores_XS.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        p_best_XS = is_best_XS / is_best_XS.sum(axis=1, keepdims=True)
    score_low, score_high = np.percentile(scores_XS, [tail, 100 - tail], axis=0)
    rank_low, rank_high = np.percentile(
        ranks_XS.astype(np.float64), [tail, 100 - tail], axis=0, method="inverted_cdf"
    )
    is_known = ~np.isnan(score_low)
    return {
        "score_low": score_low,
        "score_high": score_high,
        "rank_low": np.where(is_known, rank_low, math.nan),
        "rank_high": np.where(is_known, rank_high, math.nan),
        "p_best": np.where(is_known, p_best_XS.mean(axis=0), math.nan),
    }


def _pairs(scores_XS: Floats) -> Floats:
    """Give P(row before column), a tie counting half."""
    pairs = np.empty((scores_XS.shape[1],) * 2)
    for i, score_X in enumerate(scores_XS.T):
        difference = score_X[:, None] - scores_XS
        pairs[i] = ((difference > 0) + 0.5 * (difference == 0)).mean(axis=0)
    return np.where(np.isnan(scores_XS[0]), math.nan, pairs)
