"""Gates, ratios and areas of three submissions on three workloads, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from scoring import EXACT, PUBLISHED, Method, score_runs
from scoring.profiles import areas, gated_ratios, mean_area, ratios_of, scores_of
from scoring.score_rules import Columns, ScoreRules, columns_of
from tests.scoring.log_trees import StudyCell, runs_of

INF = math.inf
RULES = ScoreRules(
    version="hand",
    base_workloads=("x", "y"),
    held_out={"x_held": "x"},
    n_studies=1,
    n_trials=1,
)
COLUMNS = Columns(base=("x", "y"), held_out=("x_held",), gated=(0,))
BOTH = pytest.mark.parametrize("method", [EXACT, PUBLISHED], ids=lambda m: m.name)
Table = Sequence[Sequence[float]]


def ratios(times: Table, method: Method) -> list[list[float]]:
    """Give the ratios after the gates: one row a submission, columns x, y, x_held."""
    found = gated_ratios(np.array(times, dtype=float), COLUMNS, RULES, method)
    return [list(row) for row in found]


def scores(times: Table, method: Method) -> list[float]:
    """Give the scores from a table, after checking that the whole way from runs is the same."""
    direct = scores_of(np.array(times, dtype=float), COLUMNS, RULES, method).tolist()
    cells = [
        StudyCell(submission=name, workload=workload, study=0, seconds=seconds)
        for name, row in zip("abc", times, strict=False)
        for workload, seconds in zip(COLUMNS.names, row, strict=True)
    ]
    board = score_runs(runs_of(cells, RULES, n_studies=1), method=method)
    assert board.columns == COLUMNS
    through_runs = board.table.set_index("submission")["score"].sort_index().tolist()
    assert through_runs == direct
    assert np.array_equal(board.ratios.to_numpy(), np.array(ratios(times, method)))
    base_areas = areas(board.ratios[["x", "y"]].to_numpy(), 4.0, method.n_grid_points)
    assert np.array_equal(board.areas.to_numpy(), base_areas)
    assert mean_area(base_areas).tolist() == direct
    return direct


def trapezoid(n_points_at_or_above: int) -> float:
    """Give the area by hand: n points of 100 are 1, all inner weights 1, the last weight 1/2."""
    return (n_points_at_or_above - 0.5) / 99


@BOTH
def test_without_a_failure_ratios_are_times_over_the_best(method: Method) -> None:
    times = [[100, 30, 10], [200, 20, 40], [300, 50, 20]]
    # best: x 100, y 20, x_held 10; no ratio is above 4
    assert ratios(times, method) == [[1.0, 1.5, 1.0], [2.0, 1.0, 4.0], [3.0, 2.5, 2.0]]


def test_scores_without_a_failure_are_exact_integrals_or_the_trapezoid_rule() -> None:
    times = [[100, 30, 10], [200, 20, 40], [300, 50, 20]]
    # exact areas are (4 - r) / 3:
    #   a: (3 + 2.5) / 6    b: (2 + 3) / 6    c: (1 + 1.5) / 6
    assert scores(times, EXACT) == pytest.approx([5.5 / 6, 5 / 6, 2.5 / 6])
    # tau_k = 1 + k / 33, k = 0 .. 99. r = 1 is met at all 100 points: area 1.
    #   r = 1.5: k >= 16.5, so 17 .. 99: 83 points    r = 2: k >= 33: 67
    #   r = 2.5: k >= 49.5, so 50 .. 99: 50 points    r = 3: k >= 66: 34
    #   a: (1 + 82.5/99) / 2    b: (66.5/99 + 1) / 2    c: (33.5/99 + 49.5/99) / 2
    expected = [(99 + 82.5) / 198, (66.5 + 99) / 198, (33.5 + 49.5) / 198]
    assert scores(times, PUBLISHED) == pytest.approx(expected)


def test_the_trapezoid_rule_on_and_between_grid_points_against_the_exact_area() -> None:
    # On the grid point k the 100 - k points from k on are 1: half a cell more than the exact area
    # (99 - k) / 99, except at r = 1, where the first weight is 1/2 too. Just above the point k
    # only 99 - k points are left: half a cell less.
    on = [1.0, 2.0, 3.0, 4.0]
    assert areas(np.array(on), 4.0, 100).tolist() == pytest.approx(
        [1.0, trapezoid(67), trapezoid(34), trapezoid(1)]
    )
    assert areas(np.array(on)).tolist() == pytest.approx([1.0, 2 / 3, 1 / 3, 0.0])
    above = [1.0 + 1e-9, 2.0 + 1e-9, 3.0 + 1e-9]
    assert areas(np.array(above), 4.0, 100).tolist() == pytest.approx(
        [trapezoid(99), trapezoid(66), trapezoid(33)]
    )
    # In the middle between the points 33 and 34, r = 1 + 33.5 / 33, both are the same:
    # 66 points, 65.5 / 99, and (4 - r) / 3 = (99 - 33.5) / 99.
    middle = np.array([1 + 33.5 / 33])
    assert areas(middle, 4.0, 100).tolist() == pytest.approx([65.5 / 99])
    assert areas(middle).tolist() == pytest.approx([65.5 / 99])
    beyond = np.array([4.0 + 1e-9, 17.0, INF])
    assert areas(beyond, 4.0, 100).tolist() == [0.0, 0.0, 0.0]
    assert areas(beyond).tolist() == [0.0, 0.0, 0.0]


def test_the_trapezoid_rule_with_few_points_worked_by_hand() -> None:
    # Points 1, 2.5, 4. r = 1: 1. r = 2: rho is 0, 1, 1: (0 + 1) / 2 / 2 + 1 / 2 = 3/4.
    # r = 3: rho is 0, 0, 1: 1/4.
    assert areas(np.array([1.0, 2.0, 3.0]), 4.0, 3).tolist() == pytest.approx([1.0, 0.75, 0.25])


def test_a_base_time_of_exactly_four_times_the_best_is_no_miss_and_above_it_is() -> None:
    times = [[100, 10, 1], [400, 10, 1], [401, 10, 1]]
    # Exact scoring leaves the ratio as it is: it adds nothing to the score.
    assert ratios(times, EXACT) == [[1, 1, 1], [4, 1, 1], [4.01, 1, 1]]
    assert scores(times, EXACT) == pytest.approx([1.0, 0.5, 0.5])
    # As published 401 is a miss; 400 is met at the last point, which the rule gives half a cell.
    assert ratios(times, PUBLISHED) == [[1, 1, 1], [4, 1, 1], [INF, 1, 1]]
    assert scores(times, PUBLISHED) == pytest.approx([1.0, (0.5 / 99 + 1) / 2, 0.5])


@pytest.mark.parametrize("held_out", [41.0, INF])
def test_a_held_out_failure_makes_the_base_a_miss(held_out: float) -> None:
    times = [[100, 10, held_out], [200, 20, 10], [300, 20, 40]]
    # x_held: best 10; 41 and inf fail, 40 is exactly the factor and does not.
    # Exact: the best on x is still a's 100, so b has 2 and c has 3.
    #   a: 0 + 3 on y    b: 2 + 2    c: 1 + 2, each over 6
    assert [row[:2] for row in ratios(times, EXACT)] == [[INF, 1], [2, 2], [3, 2]]
    assert scores(times, EXACT) == pytest.approx([3 / 6, 4 / 6, 3 / 6])
    # Published: the best on x that is left is 200, so b has 1 and c has 1.5 (83 points).
    assert [row[:2] for row in ratios(times, PUBLISHED)] == [[INF, 1], [1, 2], [1.5, 2]]
    y = 66.5 / 99
    expected = [0.5, (1 + y) / 2, (82.5 / 99 + y) / 2]
    assert scores(times, PUBLISHED) == pytest.approx(expected)


def test_the_ratio_of_a_failed_held_out_variant_stays_to_be_seen_in_the_exact_ratios() -> None:
    times = [[100, 10, 41], [200, 20, 10], [300, 20, INF]]
    assert [row[2] for row in ratios(times, EXACT)] == [4.1, 1.0, INF]
    assert [row[2] for row in ratios(times, PUBLISHED)] == [INF, 1.0, INF]


def test_as_published_a_base_miss_takes_the_held_out_time_away_before_the_factor_is_applied() -> (
    None
):
    times = [[INF, 10, 10], [100, 10, 50], [200, 10, 200]]
    # Exact: a's 10 is the best of x_held, so b (5) and c (20) fail and nobody has x.
    assert ratios(times, EXACT) == [[INF, 1, 1], [INF, 1, 5], [INF, 1, 20]]
    assert scores(times, EXACT) == pytest.approx([0.5, 0.5, 0.5])
    # Published: a missed x, so its 10 is a miss; the best of x_held is 50 and 200 is exactly 4
    # times that: both pass. x: b 1, c 2.
    assert ratios(times, PUBLISHED) == [[INF, 1, INF], [1, 1, 1], [2, 1, 4]]
    assert scores(times, PUBLISHED) == pytest.approx([0.5, 1.0, (66.5 / 99 + 1) / 2])


def test_as_published_a_base_time_beyond_the_factor_leaves_its_held_out_time_in_the_field() -> None:
    times = [[100, 10, 50], [401, 10, 10], [150, 10, 40]]
    # b is above 4 times 100 on x, but its 10 on x_held was there when the best was taken: a (5)
    # fails, c (4) does not. Then b's and a's x are misses and c alone is left: ratio 1.
    assert ratios(times, PUBLISHED) == [[INF, 1, INF], [INF, 1, 1], [1, 1, 4]]
    # Exact: the same failures, but c keeps its 1.5 to a's 100, and b its 4.01.
    assert ratios(times, EXACT) == [[INF, 1, 5], [4.01, 1, 1], [1.5, 1, 4]]
    assert scores(times, EXACT) == pytest.approx([0.5, 0.5, (2.5 / 3 + 1) / 2])


def test_as_published_the_factor_is_not_applied_again_after_the_best_has_left() -> None:
    times = [[100, 10, 41], [400, 10, 10], [450, 10, 10]]
    # c's 450 is above 4 times a's 100 and is a miss, although a itself fails later by its 41 and
    # b's 400 is then the best.
    assert ratios(times, PUBLISHED) == [[INF, 1, INF], [1, 1, 1], [INF, 1, 1]]
    assert scores(times, PUBLISHED) == pytest.approx([0.5, 1.0, 0.5])
    # Exact: b is 4 times a's time, which adds nothing.
    assert ratios(times, EXACT) == [[INF, 1, 4.1], [4, 1, 1], [4.5, 1, 1]]
    assert scores(times, EXACT) == pytest.approx([0.5, 0.5, 0.5])


@BOTH
def test_ties_are_all_best(method: Method) -> None:
    times = [[70, 10, 1], [70, 20, 1], [70, 10, 1]]
    assert ratios(times, method) == [[1, 1, 1], [1, 2, 1], [1, 1, 1]]
    assert [row[0] for row in ratios(times, method)] == [1, 1, 1]


@BOTH
def test_a_workload_that_nobody_reached_is_a_miss_of_everybody(method: Method) -> None:
    times = [[INF, 10, 1], [INF, 20, 2], [INF, INF, 1]]
    assert [row[0] for row in ratios(times, method)] == [INF, INF, INF]
    assert scores([[INF, 10, 1], [INF, INF, 2]], method) == [0.5, 0.0]


@BOTH
def test_a_held_out_variant_that_nobody_reached_closes_its_base_for_everybody(
    method: Method,
) -> None:
    times = [[100, 10, INF], [200, 20, INF]]
    assert [row[0] for row in ratios(times, method)] == [INF, INF]
    assert scores(times, method)[0] == 0.5


@BOTH
def test_nobody_reaching_anything_scores_nothing_and_shares_the_rank(method: Method) -> None:
    cells = [
        StudyCell(submission=name, workload=workload, study=0, seconds=INF)
        for name in "ab"
        for workload in COLUMNS.names
    ]
    table = score_runs(runs_of(cells, RULES, n_studies=1), method=method).table
    assert table["score"].tolist() == [0.0, 0.0]
    assert table["rank"].tolist() == [1, 1]


@BOTH
def test_a_held_out_variant_that_nobody_ran_is_no_gate(method: Method) -> None:
    cells = [
        StudyCell(submission=name, workload=workload, study=0, seconds=seconds)
        for name, x, y in (("a", 10.0, 20.0), ("b", 20.0, 10.0))
        for workload, seconds in (("x", x), ("y", y))
    ]
    board = score_runs(runs_of(cells, RULES, n_studies=1), method=method)
    assert board.columns == Columns(base=("x", "y"), held_out=(), gated=())
    two = 66.5 / 99 if method is PUBLISHED else 2 / 3
    assert board.table["score"].tolist() == pytest.approx([(1 + two) / 2] * 2)


def test_columns_follow_the_order_of_the_rules_and_leave_out_what_nobody_ran() -> None:
    rules = ScoreRules(
        version="hand",
        base_workloads=("z", "y", "x"),
        held_out={"z_held": "z", "x_held": "x"},
    )
    found = columns_of({"x", "x_held", "z_held", "y", "other"}, rules)
    # z did not run, so its variant gates nothing; "other" is not of the rules.
    assert found == Columns(base=("y", "x"), held_out=("x_held",), gated=(1,))
    assert columns_of({"b", "a"}, rules).base == ("a", "b")


def median_of(seconds: Sequence[float | None], method: Method) -> float:
    """Give a's median on x over studies; None is a study without evaluations."""
    cells = [
        StudyCell(submission="a", workload="x", study=study, seconds=time)
        for study, time in enumerate(seconds)
    ]
    runs = runs_of(cells, RULES, n_studies=len(seconds))
    return float(score_runs(runs, method=method).times.loc["a", "x"])


def test_medians_of_even_counts_are_means_of_the_two_in_the_middle() -> None:
    for method in (EXACT, PUBLISHED):
        assert median_of([40, 10, 30, 20], method) == 25.0
        assert median_of([10, INF, 20, INF], method) == INF  # 10, 20, inf, inf
        assert median_of([10, INF, 20, 30], method) == 25.0
        assert median_of([10, 20], method) == 15.0
    # A study without evaluations is a miss, or as published not there.
    assert median_of([10, 20, 30, None], EXACT) == 25.0  # 10, 20, 30, inf
    assert median_of([10, 20, 30, None], PUBLISHED) == 20.0
    assert median_of([10, 20, None, None, None], EXACT) == INF
    assert median_of([10, 20, None, None, None], PUBLISHED) == 15.0
    assert median_of([None, None], EXACT) == median_of([None, None], PUBLISHED) == INF


@BOTH
def test_scores_of_many_tables_at_once_are_those_of_each(method: Method) -> None:
    tables = [
        [[100, 30, 10], [200, 20, 40], [300, 50, 20]],
        [[INF, 10, 10], [100, 10, 50], [200, 10, 200]],
        [[100, 10, 41], [400, 10, 10], [450, 10, 10]],
    ]
    at_once = scores_of(np.array(tables, dtype=float), COLUMNS, RULES, method)
    assert at_once.tolist() == [scores(table, method) for table in tables]


def test_the_times_given_are_not_changed() -> None:
    times = np.array([[100, 10, 41], [400, 10, 10]], dtype=float)
    before = times.copy()
    for method in (EXACT, PUBLISHED):
        gated_ratios(times, COLUMNS, RULES, method)
        ratios_of(times)
    assert np.array_equal(times, before)
