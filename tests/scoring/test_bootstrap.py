"""How sure ranks are: the distribution of resampled medians, intervals, pairs and bands."""

from __future__ import annotations

import doctest
import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import scoring.bootstrap
from scoring import Scoreboard, read_runs, score_runs
from scoring.bootstrap import bands, how_sure, middle_places, resampled_medians
from scoring.score_rules import Columns
from scoring.time_to_target import StudyTimes, median_of_studies
from tests.scoring.run_folders import add_trial


def board_of(tmp_path: Path, times: dict[str, list[float]]) -> Scoreboard:
    """Score submissions by their times on one workload, one a study; inf is a miss."""
    for name, values in times.items():
        for study, seconds in enumerate(values):
            rows = [(1.0, 0.2)] if math.isinf(seconds) else [(seconds, 0.95)]
            add_trial(tmp_path, rows, submission=name, study=study, n_studies=len(values))
    return score_runs(read_runs([tmp_path]))


@pytest.mark.parametrize("n", range(1, 7))
def test_the_middle_of_a_draw_is_distributed_as_in_all_draws_there_are(n: int) -> None:
    wanted: Counter[tuple[int, int]] = Counter()
    for draw in itertools.product(range(n), repeat=n):
        ordered = sorted(draw)
        wanted[ordered[(n - 1) // 2], ordered[n // 2]] += 1
    low, high, probability = middle_places(n)
    assert len(low) == len(set(zip(low.tolist(), high.tolist(), strict=True)))
    for one, other, found in zip(low.tolist(), high.tolist(), probability.tolist(), strict=True):
        assert found == pytest.approx(wanted[one, other] / n**n, abs=1e-12)
    assert probability.sum() == pytest.approx(1.0)


def test_resampled_medians_agree_with_studies_really_drawn() -> None:
    rng = np.random.default_rng(5)
    times = rng.random((3, 4, 5))
    times[0, 0, 3:] = math.nan  # three studies count
    times[1, 1, 4:] = math.nan  # four: the mean of the two in the middle
    times[2, 2, :3] = math.inf
    times[2, 3] = math.nan  # none
    studies = StudyTimes(
        submissions=("a", "b", "c"),
        columns=Columns(base=("w", "x", "y", "z"), held_out=(), gated=()),
        times=times,
        studies=(0, 1, 2, 3, 4),
    )
    n = 20_000
    found = resampled_medians(studies, n, np.random.default_rng(6))
    assert np.isinf(found[:, 2, 3]).all()
    for s, w in itertools.product(range(3), range(4)):
        counting = times[s, w][~np.isnan(times[s, w])]
        if not len(counting):
            continue
        drawn = median_of_studies(rng.choice(counting, (n, len(counting))))
        for quantile in np.quantile(counting[np.isfinite(counting)], [0.2, 0.5, 0.8]):
            share = (drawn <= quantile).mean()
            # Four standard errors of the difference of two shares.
            allowed = 4 * math.sqrt(2 * 0.25 / n)
            assert (found[:, s, w] <= quantile).mean() == pytest.approx(share, abs=allowed)


def test_studies_that_agree_leave_no_doubt(tmp_path: Path) -> None:
    sure = how_sure(board_of(tmp_path, {"fast": [10.0] * 3, "slow": [20.0] * 3}))
    table = sure.table.set_index("submission")
    # slow: (4 - 20 / 10) / 3
    assert table.loc["slow", ["score_low", "score_high"]].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert table["rank_low"].tolist() == table["rank_high"].tolist() == [1.0, 2.0]
    assert table["p_best"].tolist() == [1.0, 0.0]
    assert table["band"].tolist() == [1, 2]
    assert sure.pairs.loc["fast", "slow"] == 1.0
    assert sure.pairs.loc["slow", "fast"] == 0.0


def test_a_pair_that_one_study_decides_shares_a_band(tmp_path: Path) -> None:
    # slow's median is 10 if its first study is drawn at least twice of three times: 7/27, a tie.
    sure = how_sure(board_of(tmp_path, {"fast": [10.0] * 3, "slow": [10.0, 20.0, 20.0]}))
    assert sure.pairs.loc["fast", "slow"] == pytest.approx(20 / 27 + 7 / 54, abs=0.02)
    assert sure.pairs.loc["fast", "slow"] + sure.pairs.loc["slow", "fast"] == 1.0
    table = sure.table.set_index("submission")
    assert table.loc["fast", "p_best"] == pytest.approx(20 / 27 + 7 / 54, abs=0.02)
    assert table["p_best"].sum() == pytest.approx(1.0)
    assert table["band"].tolist() == [1, 1]
    assert table.loc["slow", ["rank_low", "rank_high"]].tolist() == [1.0, 2.0]


def test_a_band_ends_only_where_all_above_are_surely_before_all_below() -> None:
    # a is surely before c, but neither pair of neighbours is decided: one band of three.
    pairs = np.array(
        [
            [0.5, 0.7, 0.99, 1.0],
            [0.3, 0.5, 0.7, 1.0],
            [0.01, 0.3, 0.5, 0.95],
            [0.0, 0.0, 0.05, 0.5],
        ]
    )
    assert bands(pairs) == [1, 1, 1, 2]
    pairs[2, 3] = 0.949
    assert bands(pairs) == [1, 1, 1, 1]


def test_one_study_says_nothing(tmp_path: Path) -> None:
    sure = how_sure(board_of(tmp_path, {"fast": [10.0], "slow": [20.0]}))
    assert sure.table.drop(columns=["submission", "band"]).isna().all(axis=None)
    assert sure.table["band"].tolist() == [1, 1]
    assert sure.pairs.isna().all(axis=None)
    assert sure.n_studies == 1


def test_the_same_seed_gives_the_same_and_another_gives_another(tmp_path: Path) -> None:
    board = board_of(tmp_path, {"a": [10.0, 12.0, 31.0], "b": [11.0, 13.0, 25.0]})
    assert how_sure(board, seed=0).table.equals(how_sure(board, seed=0).table)
    assert not how_sure(board, seed=0).pairs.equals(how_sure(board, seed=1).pairs)


def test_a_fixed_number_of_random_numbers_is_drawn_whatever_the_order_of_studies() -> None:
    times = np.array([[[3.0, 1.0, 2.0]]])
    columns = Columns(base=("w",), held_out=(), gated=())
    one, other = (
        StudyTimes(submissions=("a",), columns=columns, times=t, studies=(0, 1, 2))
        for t in (times, times[:, :, ::-1])
    )
    found = [resampled_medians(s, 50, np.random.default_rng(0)) for s in (one, other)]
    assert np.array_equal(*found)


def test_the_examples_in_docstrings_hold() -> None:
    # numpy and pandas stand in the examples' namespace.
    assert doctest.testmod(scoring.bootstrap).failed == 0
