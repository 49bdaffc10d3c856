"""How ranks change with what went into them, worked by hand on few submissions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from pacebench.cli.main import main
from scoring import PUBLISHED, read_runs, score_runs
from scoring.explain import explain
from scoring.sensitivity import (
    by_cost,
    by_relaxed_target,
    by_study_count,
    by_tau,
    order_changes,
    without_each_submission,
    without_each_workload,
)
from scoring.text import change_text
from tests.scoring.run_folders import add_trial
from tests.scoring.study_folders import add_studies, board_of, one_each


def scores_of(table: pd.DataFrame, by: str, value: object) -> dict[str, float]:
    part = table[table[by] == value]
    return dict(zip(part["submission"], part["score"], strict=True))


@pytest.fixture
def flip(tmp_path: Path) -> Path:
    """Ratios on digits: a 1, b 2.2, c missed; on cifar: a 6, b 3, c 1."""
    one_each(
        tmp_path,
        {
            "a": {"digits": 10.0, "cifar": 30.0},
            "b": {"digits": 22.0, "cifar": 15.0},
            "c": {"digits": None, "cifar": 5.0},
        },
    )
    return tmp_path


def test_without_a_submission_the_others_are_compared_with_the_best_that_is_left(
    flip: Path,
) -> None:
    table = without_each_submission(board_of(flip))
    # without c: a (1 + (4 - 30/15) / 3) / 2 = 0.8333, b ((4 - 2.2) / 3 + 1) / 2 = 0.8
    assert scores_of(table, "left_out", "c") == pytest.approx({"a": 5 / 6, "b": 0.8})
    # without a: b (1 + (4 - 3) / 3) / 2 = 0.6667, c (0 + 1) / 2
    assert scores_of(table, "left_out", "a") == pytest.approx({"b": 2 / 3, "c": 0.5})


def test_the_order_that_turns_round_is_named_with_its_deciding_cell(tmp_path: Path) -> None:
    board = one_each(
        tmp_path,
        {
            "a": {"digits": 10.0, "cifar": 17.5, "mnist": None},
            "b": {"digits": 28.0, "cifar": 12.5, "mnist": 36.0},
            "c": {"digits": None, "cifar": 5.0, "mnist": 10.0},
        },
    )
    # digits: a 1, b (4 - 2.8) / 3 = 0.4. cifar: a (4 - 3.5) / 3 = 0.16667, b (4 - 2.5) / 3 = 0.5;
    # without c (4 - 1.4) / 3 = 0.86667 and 1. mnist: b (4 - 3.6) / 3 = 0.13333; without c 1.
    # With c: a 1 + 1/6 + 0 = 1.16667, b 0.4 + 0.5 + 0.13333 = 1.03333: a is before b.
    # Without c: a 1 + 0.86667 + 0 = 1.86667, b 0.4 + 1 + 1 = 2.4: b is before a.
    # b - a moved by 0.86667 on mnist (0.13333 to 1) and by -0.2 on cifar: mnist decides, by b.
    (change,) = order_changes(board).to_dict("records")
    assert (change["left_out"], change["first"], change["second"]) == ("c", "b", "a")
    assert (change["workload"], change["submission"]) == ("mnist", "b")
    assert change["area_with"] == pytest.approx(0.4 / 3)
    assert change["area_without"] == 1.0
    assert (change["ratio_with"], change["ratio_without"]) == (pytest.approx(3.6), 1.0)
    assert change["held_out"] == ""
    text = change_text(change)
    assert text.startswith("without c, b is before a: decided by b on mnist (area 0.133, then 1")


def test_without_a_workload_the_mean_is_over_the_others(flip: Path) -> None:
    table = without_each_workload(board_of(flip))
    assert scores_of(table, "left_out", "cifar") == pytest.approx({"a": 1.0, "b": 0.6, "c": 0.0})
    assert scores_of(table, "left_out", "digits") == pytest.approx({"a": 0.0, "b": 1 / 3, "c": 1.0})


def test_one_workload_or_one_submission_cannot_be_left_out(tmp_path: Path) -> None:
    board = one_each(tmp_path, {"a": {"digits": 10.0}})
    for table in (without_each_workload(board), without_each_submission(board)):
        assert table.empty
        assert list(table.columns) == ["left_out", "submission", "score", "rank"]
    assert order_changes(board).empty


def test_tau_moves_where_profiles_end(flip: Path) -> None:
    table = by_tau(board_of(flip), taus=(2.0, 8.0))
    # a: ratios 1 and 6; b: 2.2 and 3; c: missed and 1. Up to 2: (2 - r) / 1; up to 8: (8 - r) / 7
    assert scores_of(table, "tau_max", 2.0) == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5})
    assert scores_of(table, "tau_max", 8.0) == pytest.approx(
        {"a": (1 + 2 / 7) / 2, "b": (5.8 / 7 + 5 / 7) / 2, "c": 0.5}
    )
    assert table[table["tau_max"] == 2.0].set_index("submission")["rank"].to_dict() == {
        "a": 1,
        "c": 1,
        "b": 3,
    }


def test_an_easier_target_is_read_off_the_curves(tmp_path: Path) -> None:
    # The target is 0.9; 1% easier is 0.891. Of a loss of 0.9 it would be 0.909.
    add_trial(tmp_path, [(10.0, 0.892), (20.0, 0.95)], submission="a")
    add_trial(tmp_path, [(12.0, 0.85), (15.0, 0.95)], submission="b")
    loss = {"metric": "loss", "larger_is_better": False, "workload": "cifar"}
    add_trial(tmp_path, [(10.0, 0.905), (20.0, 0.8)], submission="a", **loss)
    add_trial(tmp_path, [(12.0, 0.95), (15.0, 0.8)], submission="b", **loss)
    runs = read_runs([tmp_path])
    board = score_runs(runs)
    assert board.table["submission"].tolist() == ["b", "a"]
    table = by_relaxed_target(runs, board, shares=(0.0, 0.01))
    # As they are, both workloads: 15 and 20, b 1 and a (4 - 20/15) / 3; relaxed: 10 and 15.
    assert scores_of(table, "relaxed", 0.0) == pytest.approx({"a": (4 - 4 / 3) / 3, "b": 1.0})
    assert scores_of(table, "relaxed", 0.01) == pytest.approx({"a": 1.0, "b": (4 - 1.5) / 3})


def test_fewer_studies_are_all_subsets_of_them(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0], [10.0], [10.0]])
    add_studies(tmp_path, "b", "digits", [[5.0], [20.0], [40.0]])
    table = by_study_count(board_of(tmp_path)).set_index(["n_studies", "submission"])
    # One study: 10 and 5, 10 and 20, 10 and 40: a scores (4 - 2) / 3, 1, 1; b 1, (4 - 2) / 3, 0.
    one = table.loc[(1, "b")]
    assert one[["score_low", "score", "score_high"]].tolist() == pytest.approx([0, 2 / 3, 1])
    assert one[["rank_low", "rank", "rank_high"]].tolist() == [1, 2, 2]
    # Two: (5 + 20) / 2 = 12.5, (5 + 40) / 2 = 22.5, (20 + 40) / 2 = 30 against 10.
    two = table.loc[(2, "b")]
    assert two[["score_low", "score", "score_high"]].tolist() == pytest.approx(
        [(4 - 3) / 3, (4 - 2.25) / 3, (4 - 1.25) / 3]
    )
    assert sorted(set(table.index.get_level_values(0))) == [1, 2]


def test_costs_stand_side_by_side(tmp_path: Path) -> None:
    # a: 20 s in 200 steps at its second evaluation; b: 30 s in 300 steps at its first.
    add_trial(tmp_path, [(1.0, 0.2), (20.0, 0.95)], submission="a", style="algorithm")
    add_trial(tmp_path, [(30.0, 0.95)], submission="b", style="algorithm")
    runs = read_runs([tmp_path])
    table = by_cost(runs, score_runs(runs))
    assert scores_of(table, "cost", "time") == pytest.approx({"a": 1, "b": (4 - 1.5) / 3})
    assert scores_of(table, "cost", "steps") == pytest.approx({"a": 1, "b": (4 - 1.5) / 3})
    assert scores_of(table, "cost", "evaluations") == pytest.approx({"a": (4 - 2) / 3, "b": 1})


@pytest.fixture
def differing(tmp_path: Path) -> Path:
    """Runs that each part of the published method scores differently."""
    runs = tmp_path / "runs"
    planned = {"n_studies": 1, "n_trials": 2}
    # digits: a's second trial is faster but has more evaluations; b is at 20.
    add_trial(runs, [(30.0, 0.95)], submission="a", trial=1, **planned)
    add_trial(runs, [(5.0, 0.1), (10.0, 0.95)], submission="a", trial=2, **planned)
    add_studies(runs, "b", "digits", [[20.0]])
    # cifar: b reaches it after the budget of 100.
    add_studies(runs, "a", "cifar", [[50.0]])
    add_trial(runs, [(110.0, 0.95)], submission="b", workload="cifar", n_studies=1, n_trials=1)
    # mnist: two of a's three studies are missing.
    add_studies(runs, "a", "mnist", [[50.0]], n_studies=3)
    add_studies(runs, "b", "mnist", [[50.0], [50.0], [50.0]])
    return runs


def test_every_difference_is_explained_and_they_add_up(differing: Path) -> None:
    runs = read_runs([differing])
    exact, published = score_runs(runs), score_runs(runs, method=PUBLISHED)
    table = explain(runs)
    for name in ("a", "b"):
        change = table.loc[table["submission"] == name, "score_change"].sum()
        before, after = (
            b.table.set_index("submission").loc[name, "score"] for b in (exact, published)
        )
        assert change == pytest.approx(after - before, abs=1e-12)
    cells = table.set_index(["submission", "workload", "field"])
    # b on cifar: missed, then 110 / 50 = 2.2: (4 - 2.2) / 3 of three workloads
    assert cells.loc[("b", "cifar", "is_budget_kept"), "score_change"] == pytest.approx(0.2)
    # a on mnist: missed, then 50, which is best: one of three workloads
    missing = cells.loc[("a", "mnist", "is_missing_study_missed")]
    assert missing["score_change"] == pytest.approx(1 / 3)
    assert (missing["time_exact"], missing["time_published"]) == (math.inf, 50.0)
    # a on digits: 10, then 30; b on digits: 2 times the best, then the best
    chosen = cells.xs("is_fewest_evaluations_first", level="field")
    assert chosen.loc[("a", "digits"), "score_change"] == pytest.approx((2.5 / 3 - 1) / 3)
    assert chosen.loc[("b", "digits"), "score_change"] == pytest.approx((1 - 2 / 3) / 3)


def test_the_command_explains_and_says_how_sure(
    differing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(differing), "--explain", "--how-sure"]) == 0
    text = capsys.readouterr().out
    assert "+0.200000  cifar: evaluations after the budget count (time missed to 110" in text
    for section in (
        "ranks without each workload",
        "ranks with profiles up to tau",
        "geometric-mean speedup (2 is twice as fast as",
        "trials that reached the target (Wilson 95%)",
        "expected running time: seconds of all trials per hit",
        "share of targets reached with so many trials a study",
    ):
        assert section in text
    assert main(["score", str(differing), "--explain", "--how-sure", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["how_sure"]) >= {"pairs", "survival", "tuning_budget", "by_relaxed_target"}
    assert {row["field"] for row in document["explain"]} >= {"is_budget_kept"}
    assert all({"submission", "score", "rank", "band"} <= set(r) for r in document["leaderboard"])


def test_an_unknown_reference_is_one_line(
    differing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(differing), "--how-sure", "--reference", "c"]) == 2
    assert "unknown" in capsys.readouterr().err
