"""How many trials hit, at what cost and when: rates, running times and survival by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scoring.independent import expected_running_times, hit_rates, survival_curves
from tests.scoring.run_folders import add_trial
from tests.scoring.study_folders import add_studies, board_of, one_each

Z = 1.959963984540054
"""The normal distribution's quantile at 0.975."""


def wilson(k: int, n: int) -> list[float]:
    """Give Wilson's 95% interval by its formula."""
    z, p = Z, k / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]


def test_hit_rates_are_of_the_planned_trials(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0, None], [20.0]])  # the fourth is not there
    add_studies(tmp_path, "a", "cifar", [[10.0, 20.0]])
    table = hit_rates(board_of(tmp_path)).set_index("workload")
    assert table.index.tolist() == ["cifar", "digits", "all"]
    counts = table[["n_hits", "n_trials", "rate"]].to_numpy().tolist()
    assert counts == [[2, 2, 1.0], [2, 4, 0.5], [4, 6, pytest.approx(4 / 6)]]
    intervals = table[["low", "high"]].to_numpy().tolist()
    assert intervals == [pytest.approx(wilson(k, n)) for k, n in [(2, 2), (2, 4), (4, 6)]]


def test_the_rate_of_all_workloads_leaves_held_out_variants_out(tmp_path: Path) -> None:
    board = one_each(tmp_path, {"a": {"fastmri": 10, "fastmri_tanh": None}}, version="algoperf-0.5")
    table = hit_rates(board)[["workload", "n_hits", "n_trials"]]
    assert table.to_numpy().tolist() == [["fastmri", 1, 1], ["fastmri_tanh", 0, 1], ["all", 1, 1]]


def test_expected_running_times_worked_by_hand(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0, None], [30.0]])  # the fourth is not there
    add_studies(tmp_path, "a", "cifar", [[None, None]])
    table = expected_running_times(board_of(tmp_path)).set_index("workload")
    columns = ["time", "n_hits", "n_trials"]
    assert table.loc["digits", columns].tolist() == [(10 + 30 + 100 + 100) / 2, 2, 4]
    assert table.loc["cifar", columns].tolist() == [math.inf, 0, 2]


def curve_of(runs: Path) -> list[list[float]]:
    table = survival_curves(board_of(runs))
    assert set(table["submission"]) == {"a"}
    assert set(table["workload"]) == {"digits"}
    return list(table[["time", "survival", "low", "high"]].to_numpy().tolist())


def test_a_survival_curve_of_four_trials_worked_by_hand(tmp_path: Path) -> None:
    planned = {"submission": "a", "n_studies": 4}
    add_trial(tmp_path, [(10.0, 0.95)], study=0, **planned)
    add_trial(tmp_path, [(10.0, 0.2)], study=1, budget_seconds=20.0, **planned)
    add_trial(tmp_path, [(30.0, 0.95)], study=2, **planned)
    add_trial(tmp_path, [(10.0, 0.2)], study=3, budget_seconds=40.0, **planned)
    # 4 at risk at 10: 3/4. At 20 one is censored. 2 at risk at 30: 3/4 * 1/2 = 3/8.
    # Greenwood: variance S^2 * sum of d / (n (n - d)), so 9/16 * 1/12 and 9/64 * (1/12 + 1/2)
    half_10 = Z * math.sqrt(9 / 16 / 12)
    half_30 = Z * math.sqrt(9 / 64 * (1 / 12 + 1 / 2))
    at_10 = [3 / 4, 3 / 4 - half_10, 1.0]  # 1.17 is cut to 1
    at_30 = [3 / 8, 0.0, 3 / 8 + half_30]  # -0.19 is cut to 0
    expected = [[0, 1, 1, 1], [10, *at_10], [20, *at_10], [30, *at_30], [40, *at_30]]
    assert curve_of(tmp_path) == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize(
    ("studies", "n_trials", "expected"),
    [
        ([[None, None]], 2, [[100, 1]]),
        ([[10.0, 10.0]], 2, [[10, 0]]),
        ([[10.0]], 1, [[10, 0]]),
        ([[None]], 1, [[100, 1]]),
        ([[100.0, None]], 2, [[100, 1 / 2]]),  # a hit at the budget is before a miss there
        ([[10.0]], 2, [[10, 1 / 2], [100, 1 / 2]]),  # the second trial is not there
        ([[10.0, 20.0]], 2, [[10, 1 / 2], [20, 0]]),
    ],
)
def test_a_survival_of_0_or_1_has_no_interval(
    tmp_path: Path, studies: list[list[float | None]], n_trials: int, expected: list[list[float]]
) -> None:
    add_studies(tmp_path, "a", "digits", studies, n_trials=n_trials)
    curve = curve_of(tmp_path)
    assert curve[0] == [0.0, 1.0, 1.0, 1.0]
    assert [row[:2] for row in curve[1:]] == expected
    for _, survival, low, high in curve[1:]:
        is_stated = 0 < survival < 1
        assert [math.isnan(low), math.isnan(high)] == [not is_stated, not is_stated]
