"""Measures that do not depend on the field, worked by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pacebench.errors import LogsError
from scoring import Scoreboard, read_runs, score_runs
from scoring.independent import (
    expected_running_times,
    fixed_reference_scores,
    hit_rates,
    speedups,
    survival_curves,
    wins_ties_losses,
)
from scoring.tuning_budget import tuning_budget
from tests.scoring.study_folders import add_studies, one_each

V05 = {"version": "algoperf-0.5"}  # its held-out variants are gates
MEASURES: dict[str, Callable[[Scoreboard], pd.DataFrame]] = {
    "fixed_reference_scores": lambda board: fixed_reference_scores(board, {"digits": 30.0}),
    "speedups": lambda board: speedups(board, "a"),
    "hit_rates": hit_rates,
    "expected_running_times": expected_running_times,
    "survival_curves": survival_curves,
    "wins_ties_losses": wins_ties_losses,
    "tuning_budget": tuning_budget,
}


def test_scores_against_frozen_times(tmp_path: Path) -> None:
    board = one_each(
        tmp_path, {"a": {"digits": 20, "cifar": 80}, "b": {"digits": 60, "cifar": None}}
    )
    # a: r = 20/40 and 80/80: (4 - 0.5 + 4 - 1) / (2 * 4) = 6.5/8
    # b: r = 60/40 and a miss: (4 - 1.5) / 8 = 2.5/8
    table = fixed_reference_scores(board, {"digits": 40.0, "cifar": 80.0, "wmt": 1.0})
    assert table.to_numpy().tolist() == [["a", 6.5 / 8, 2], ["b", 2.5 / 8, 2]]
    # on digits alone: 3.5/4 and 2.5/4
    table = fixed_reference_scores(board, {"digits": 40.0})
    assert table.to_numpy().tolist() == [["a", 3.5 / 4, 1], ["b", 2.5 / 4, 1]]


def test_the_reference_itself_scores_three_quarters(tmp_path: Path) -> None:
    board = one_each(tmp_path, {"a": {"digits": 20, "cifar": 80}, "b": {"digits": 2, "cifar": 3}})
    table = fixed_reference_scores(board, board.times.loc["a"].to_dict())
    assert table["score"].tolist()[0] == (4 - 1) / 4


def test_only_a_held_out_variant_that_was_missed_outright_closes_its_base(tmp_path: Path) -> None:
    times = {
        "a": {"fastmri": 10, "fastmri_tanh": 10},
        "b": {"fastmri": 10, "fastmri_tanh": 90},  # beyond 4 times the best of the field
        "c": {"fastmri": 10, "fastmri_tanh": None},
    }
    board = one_each(tmp_path, times, **V05)
    table = fixed_reference_scores(board, {"fastmri": 10.0, "fastmri_tanh": 10.0})
    assert table["score"].tolist() == [0.75, 0.75, 0.0]
    assert table["n_workloads"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ({"wmt": 10.0}, "no reference time for any of digits; there are: wmt"),
        ({}, "there are: none"),
        ({"digits": 0.0}, "the reference time of digits is 0.0"),
        ({"digits": math.inf}, "the reference time of digits is inf"),
        ({"digits": math.nan}, "the reference time of digits is nan"),
    ],
)
def test_frozen_times_that_say_nothing_are_refused(
    tmp_path: Path, reference: dict[str, float], text: str
) -> None:
    board = one_each(tmp_path, {"a": {"digits": 20}})
    with pytest.raises(LogsError, match=text):
        fixed_reference_scores(board, reference)


def test_wins_ties_and_losses_worked_by_hand(tmp_path: Path) -> None:
    times = {
        "a": {"digits": 10, "cifar": None, "mnist": 30, "wmt": 5},
        "b": {"digits": 20, "cifar": None, "mnist": 30, "wmt": 5},
        "c": {"digits": 15, "cifar": 50, "mnist": None, "wmt": 6},
    }
    table = wins_ties_losses(one_each(tmp_path, times))
    assert table.to_numpy().tolist() == [
        ["a", "b", 1, 3, 0],
        ["a", "c", 3, 0, 1],
        ["b", "a", 0, 3, 1],
        ["b", "c", 2, 0, 2],
        ["c", "a", 1, 0, 3],
        ["c", "b", 2, 0, 2],
    ]


def test_a_closed_gate_loses(tmp_path: Path) -> None:
    times = {
        "a": {"fastmri": 10, "fastmri_tanh": None},
        "b": {"fastmri": 20, "fastmri_tanh": 20},
    }
    table = wins_ties_losses(one_each(tmp_path, times, **V05))
    assert table.to_numpy().tolist() == [["a", "b", 0, 0, 1], ["b", "a", 1, 0, 0]]


def test_a_lone_submission_meets_no_other(tmp_path: Path) -> None:
    table = wins_ties_losses(one_each(tmp_path, {"a": {"digits": 10}}))
    assert list(table.columns) == ["submission", "other", "n_wins", "n_ties", "n_losses"]
    assert len(table) == 0


def add_field(runs: Path) -> None:
    """Add three submissions with hits, misses and gaps."""
    add_studies(runs, "a", "digits", [[10.0, 20.0], [None, 30.0], [40.0]])
    add_studies(runs, "a", "cifar", [[10.0, None], [15.0, 70.0], [20.0, 90.0]])
    add_studies(runs, "b", "digits", [[5.0, None], [None, None], [50.0, 60.0]])
    add_studies(runs, "b", "cifar", [[60.0, None], [55.0, 70.0], [2.0, 90.0]])
    add_studies(runs, "c", "digits", [[2.0, 3.0], [3.0, 4.0], [4.0, 5.0]])


@pytest.mark.parametrize("name", MEASURES)
def test_the_order_of_the_trials_does_not_matter(tmp_path: Path, name: str) -> None:
    add_field(tmp_path)
    runs = read_runs([tmp_path])
    shuffled = replace(runs, trials=runs.trials.sample(frac=1.0, random_state=0))
    measure = MEASURES[name]
    assert_frame_equal(measure(score_runs(runs)), measure(score_runs(shuffled)))


@pytest.mark.parametrize("name", MEASURES)
def test_the_rest_of_the_field_does_not_matter(tmp_path: Path, name: str) -> None:
    add_field(tmp_path)
    runs = read_runs([tmp_path])
    fewer = replace(runs, trials=runs.trials[runs.trials["submission"] != "c"])
    table = MEASURES[name](score_runs(runs))
    is_of_c = (table[table.columns.intersection(["submission", "other"])] == "c").any(axis=1)
    left = table[~is_of_c].reset_index(drop=True)
    assert_frame_equal(left, MEASURES[name](score_runs(fewer)))


def test_scipy_is_not_imported_until_it_is_needed() -> None:
    code = (
        "import sys, scoring.independent, scoring.tuning_budget; sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
