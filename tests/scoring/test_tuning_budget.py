"""What k tuning trials buy, against every way to draw them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from scoring import PUBLISHED, read_runs, score_runs
from scoring.tuning_budget import tuning_budget
from tests.scoring.run_folders import Left, add_trial
from tests.scoring.study_folders import BUDGET, Study, add_studies, board_of

COLUMNS = ["n_trials", "hit_probability", "expected_time"]


def test_a_curve_worked_by_hand(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0, None, 40.0], [None, 20.0, None]])
    # k = 1  study 0: 2 of 3 hit, (10 + 40 + 100) / 3 = 50
    #        study 1: 1 of 3 hits, (20 + 100 + 100) / 3 = 220/3
    # k = 2  study 0: each of the 3 pairs has a hit; least 10, 10, 40: 20
    #        study 1: 2 of the 3 pairs have a hit; least 20, 20, 100: 140/3
    # k = 3  both hit; 10 and 20
    expected = [
        [1, (2 / 3 + 1 / 3) / 2, (50 + 220 / 3) / 2],
        [2, (1 + 2 / 3) / 2, (20 + 140 / 3) / 2],
        [3, 1.0, 15.0],
    ]
    table = tuning_budget(board_of(tmp_path))
    assert table[COLUMNS].to_numpy().tolist() == [pytest.approx(row) for row in expected]
    assert set(table["submission"]) == {"a"}
    assert set(table["workload"]) == {"digits"}


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_mean_over_all_draws(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    n_studies, n_trials = generator.integers(1, 4), generator.integers(2, 7)
    times = generator.integers(2, 100, size=(n_studies, n_trials))  # some are equal
    is_hit = generator.random((n_studies, n_trials)) < 0.5
    studies: list[Study] = [
        [float(t) if h else None for t, h in zip(*pair, strict=True)]
        for pair in zip(times, is_hit, strict=True)
    ]
    add_studies(tmp_path, "a", "digits", studies)
    table = tuning_budget(board_of(tmp_path)).set_index("n_trials")
    assert table.index.tolist() == list(range(1, n_trials + 1))
    for k in table.index:
        draws = [draw for study in studies for draw in combinations(study, k)]
        n_with_hit = sum(any(t is not None for t in draw) for draw in draws)
        least = [min(BUDGET if t is None else t for t in draw) for draw in draws]
        assert table["hit_probability"][k] == pytest.approx(n_with_hit / len(draws))
        assert table["expected_time"][k] == pytest.approx(sum(least) / len(least))


def test_trials_and_studies_that_are_not_there_are_misses(tmp_path: Path) -> None:
    # of 2 studies of 2 trials a single trial is there, and it hits
    add_studies(tmp_path, "a", "digits", [[20.0]], n_studies=2, n_trials=2)
    # k = 1  study 0: 1/2, (20 + 100) / 2 = 60    study 1: 0, 100
    # k = 2  study 0: 1, 20                        study 1: 0, 100
    table = tuning_budget(board_of(tmp_path))
    assert table[COLUMNS].to_numpy().tolist() == [[1, 0.25, 80.0], [2, 0.5, 60.0]]


def test_a_method_that_leaves_missing_studies_out_leaves_them_out_here(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[20.0]], n_studies=3, n_trials=2)
    planned = {"submission": "a", "study": 1, "n_studies": 3, "n_trials": 2}
    add_trial(tmp_path, [], Left(reason=None), **planned)  # nothing was evaluated
    add_studies(tmp_path, "a", "cifar", [[20.0]])
    add_studies(tmp_path, "b", "digits", [[20.0]])  # and not cifar
    board = score_runs(read_runs([tmp_path]), method=PUBLISHED)
    table = tuning_budget(board).set_index(["submission", "workload"])
    # study 0 alone: k = 1: 1/2, (20 + 100) / 2; k = 2: 1, 20
    assert table.loc[("a", "digits"), COLUMNS].to_numpy().tolist() == [[1, 0.5, 60.0], [2, 1, 20.0]]
    assert table.loc[("b", "cifar"), COLUMNS].tolist() == [1, 0.0, 100.0]


def test_more_trials_never_hurt(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[30.0, None, 90.0, 30.0, 5.0], [None, None, 60.0]])
    table = tuning_budget(board_of(tmp_path))
    assert table["hit_probability"].is_monotonic_increasing
    assert table["expected_time"].is_monotonic_decreasing
