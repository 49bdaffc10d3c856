"""How many times as fast as a reference, worked by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pacebench.errors import UnknownNameError
from scoring.independent import speedups
from tests.scoring.study_folders import add_studies, board_of, one_each


def values(table: pd.DataFrame, submission: str, *columns: str) -> list[object]:
    """Give the values of a submission's one row."""
    (row,) = table.loc[table["submission"] == submission, list(columns)].to_numpy().tolist()
    return list(row)


def test_speedups_are_geometric_means_with_misses_charged(tmp_path: Path) -> None:
    times = {
        "a": {"digits": 10, "cifar": 50, "mnist": None},
        "b": {"digits": 80, "cifar": None, "mnist": None},
        "c": {"digits": 40, "cifar": 50, "mnist": 25},
    }
    table = speedups(one_each(tmp_path, times), "c")
    # a: 40/10, 50/50, and 25/100 (a bound)       cube root of 1
    # b: 40/80, 50/100 (a bound), 25/100 (one)    cube root of 1/16
    assert values(table, "a", "speedup", "n_workloads", "n_bounds") == [pytest.approx(1.0), 3, 1]
    assert values(table, "b", "speedup", "n_bounds") == [pytest.approx(16 ** (-1 / 3)), 2]
    assert values(table, "c", "speedup", "n_bounds") == [1.0, 0]
    table = speedups(board_of(tmp_path), "a")
    # b: 10/80, 50/100 (a bound), and 1 where both missed
    assert values(table, "b", "speedup", "n_bounds") == [pytest.approx(16 ** (-1 / 3)), 1]


def test_a_miss_is_charged_the_largest_budget_of_its_workload(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[20.0]], budget_seconds=80.0)
    add_studies(tmp_path, "b", "digits", [[None]], budget_seconds=40.0)
    assert values(speedups(board_of(tmp_path), "a"), "b", "speedup") == [pytest.approx(20 / 80)]


def test_equal_times_are_a_speedup_of_1_even_at_time_0(tmp_path: Path) -> None:
    times = {name: {"digits": 0.0, "cifar": 10.0} for name in ("a", "b")}
    assert speedups(one_each(tmp_path, times), "a")["speedup"].tolist() == [1.0, 1.0]


def test_the_interval_of_a_speedup_worked_by_hand(tmp_path: Path) -> None:
    add_studies(tmp_path, "reference", "digits", [[20.0], [20.0]])
    add_studies(tmp_path, "a", "digits", [[10.0], [40.0]])
    add_studies(tmp_path, "b", "digits", [[10.0], [None]])
    table = speedups(board_of(tmp_path), "reference")
    # a: two studies drawn from 10 and 40 have the median 10 (1 time in 4), 25 (2) or 40 (1)
    assert values(table, "a", "speedup", "low", "high") == pytest.approx([20 / 25, 20 / 40, 2.0])
    # b: 10 (1 in 4), or infinite and only then charged 100 (3 in 4)
    assert values(table, "b", "speedup", "low", "high") == pytest.approx([0.2, 0.2, 2.0])
    assert values(table, "reference", "speedup", "low", "high") == [1.0, 1.0, 1.0]


def test_every_cell_is_resampled_apart(tmp_path: Path) -> None:
    for submission in ("a", "b"):
        add_studies(tmp_path, submission, "digits", [[10.0], [40.0]])
    # 10 against 40 and the other way round are each drawn 1 time in 16, more than 1 in 40
    row = values(speedups(board_of(tmp_path), "b"), "a", "speedup", "low", "high")
    assert row == pytest.approx([1.0, 1 / 4, 4.0])


def test_the_order_of_the_studies_does_not_matter(tmp_path: Path) -> None:
    studies = [[10.0], [20.0], [45.0], [70.0], [None]]
    for folder, order in (("one", studies), ("other", studies[::-1])):
        add_studies(tmp_path / folder, "a", "digits", order)
        add_studies(tmp_path / folder, "b", "digits", [[20.0], [30.0]])
    one, other = (board_of(tmp_path / folder) for folder in ("one", "other"))
    for n in range(5, 10):  # so few that every draw shows
        assert_frame_equal(speedups(one, "b", n), speedups(other, "b", n))


def test_studies_that_are_all_the_same_leave_no_doubt(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0]] * 3)
    add_studies(tmp_path, "b", "digits", [[30.0]] * 3)
    row = values(speedups(board_of(tmp_path), "b"), "a", "speedup", "low", "high")
    assert row == pytest.approx([3.0, 3.0, 3.0])


def test_a_single_study_has_no_interval(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0], [20.0]])
    add_studies(tmp_path, "a", "cifar", [[10.0]])
    add_studies(tmp_path, "b", "digits", [[10.0], [20.0]])
    add_studies(tmp_path, "b", "cifar", [[10.0], [20.0]])
    add_studies(tmp_path, "c", "digits", [[10.0], [20.0]])
    add_studies(tmp_path, "c", "cifar", [[10.0], [20.0]])
    table = speedups(board_of(tmp_path), "b")
    assert table["low"].isna().tolist() == [True, False, False]
    assert table["high"].isna().tolist() == [True, False, False]
    assert not table["speedup"].isna().any()
    assert speedups(board_of(tmp_path), "a")["low"].isna().all()


def test_the_seed_decides_the_interval(tmp_path: Path) -> None:
    for submission, first in (("a", 3.0), ("b", 7.0)):
        for workload in ("digits", "cifar", "mnist"):
            studies = [[first + 11.0 * i] for i in range(5)]
            add_studies(tmp_path, submission, workload, studies)
    board = board_of(tmp_path)
    one = speedups(board, "a", n_resamples=100, seed=0)
    assert_frame_equal(one, speedups(board, "a", n_resamples=100, seed=0))
    assert not one.equals(speedups(board, "a", n_resamples=100, seed=1))
    assert ((one["low"] <= one["speedup"]) & (one["speedup"] <= one["high"])).all()


def test_an_unknown_reference_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'adamw'"):
        speedups(one_each(tmp_path, {"adamw": {"digits": 20}}), "adam")
