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

    Where the middle of a draw falls has a known distribution (`middle_places`), so one random
    number is drawn for each median and not one for each study.
    """
    ordered = np.sort(studies.times.reshape(-1, studies.times.shape[2]), axis=1)
    n_studies = (~np.isnan(ordered)).sum(axis=1)  # those that count come first
    medians = np.full((n_resamples, len(ordered)), math.inf)
    for n in range(1, ordered.shape[1] + 1):
        cells = np.flatnonzero(n_studies == n)
        low, high, probability = middle_places(n)
        one, other = ordered[cells][:, low], ordered[cells][:, high]
        median = np.where(one == other, one, (one + other) / 2)
        draw = rng.random((n_resamples, len(cells)), dtype=np.float32)
        place = np.searchsorted(np.cumsum(probability)[:-1].astype(np.float32), draw, side="right")
        medians[:, cells] = median[np.arange(len(cells)), place]
    return medians.reshape(n_resamples, *studies.times.shape[:2])


def middle_places(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Give where the two middle values of n draws with replacement from n sorted values fall.

    Gives all pairs of places (low <= high, from 0) with their probabilities; for an odd n the two
    are the same draw. With F(i) = (i + 1) / n, the share of values up to place i, the m-th of the
    sorted draws is at most i with probability sum over k >= m of C(n, k) F(i)^k (1 - F(i))^(n-k),
    and it is at most i while the next is above j with C(n, m) F(i)^m (1 - F(j))^(n-m).

    >>> [p.round(3).tolist() for p in middle_places(3)]
    [[0, 1, 2], [0, 1, 2], [0.259, 0.481, 0.259]]
    """
    m = (n + 1) // 2
    at_most = [
        sum(math.comb(n, k) * (i / n) ** k * (1 - i / n) ** (n - k) for k in range(m, n + 1))
        for i in range(n + 1)
    ]
    single = np.diff(at_most)
    if n % 2:
        places = np.arange(n)
        return places, places, single
    low, high = np.triu_indices(n)

    def apart(i: NDArray[np.intp], j: NDArray[np.intp]) -> Floats:
        """Give P(the m-th is among the first i places, the next is not among the first j)."""
        return np.asarray(math.comb(n, m) * (i / n) ** m * (1 - j / n) ** (n - m))

    both = apart(low + 1, high) - apart(low, high) - apart(low + 1, high + 1) + apart(low, high + 1)
    rest = single - np.bincount(low[low < high], both[low < high], minlength=n)
    both[low == high] = rest
    return low, high, both


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
