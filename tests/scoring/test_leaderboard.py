"""A leaderboard worked by hand, and the notes that go with one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from scoring import RunSelection, Scoreboard, leaderboard_records, read_runs, score_runs
from tests.scoring.run_folders import Left, add_trial


def reach(runs: Path, seconds: float | None, **changes: Any) -> None:
    """Add a trial that reaches the target after `seconds`, or never."""
    rows = [(1.0, 0.2)] if seconds is None else [(1.0, 0.2), (seconds, 0.95)]
    left = Left(reason="budget" if seconds is None else "target")
    add_trial(runs, rows, left, **changes)


@pytest.fixture
def worked(tmp_path: Path) -> Path:
    """Three submissions on two workloads; the arithmetic is in the test below."""
    digits = {"workload": "digits", "n_studies": 3}
    reach(tmp_path, 20, submission="a", study=0, trial=1, n_trials=2, **digits)
    point = {"learning_rate": 0.5}
    reach(
        tmp_path, 10, submission="a", study=0, trial=2, n_trials=2, hyperparameters=point, **digits
    )
    reach(tmp_path, 30, submission="a", study=1, **digits)
    reach(tmp_path, 50, submission="a", study=2, **digits)
    reach(tmp_path, 60, submission="b", study=0, **digits)
    reach(tmp_path, 45, submission="b", study=1, **digits)
    reach(tmp_path, None, submission="b", study=2, **digits)
    reach(tmp_path, 40, submission="c", study=0, **digits)
    cifar = {"workload": "cifar", "n_studies": 2}
    for name, times in {"a": (40, 80), "b": (20, 20), "c": (90, None)}.items():
        for study, seconds in enumerate(times):
            reach(tmp_path, seconds, submission=name, study=study, **cifar)
    return tmp_path


def test_a_leaderboard_worked_by_hand(worked: Path) -> None:
    board = score_runs(read_runs([worked]))
    # digits  a: studies 10 (the faster of 20 and 10), 30, 50: median 30
    #         b: 45, 60, miss: 60        c: 40 and two missing studies: missed
    # cifar   a: 40, 80: (40 + 80) / 2 = 60    b: 20    c: 90, miss: missed
    assert board.times.loc["a", ["cifar", "digits"]].tolist() == [60.0, 30.0]
    assert board.times.loc["b", ["cifar", "digits"]].tolist() == [20.0, 60.0]
    assert board.times.loc["c", ["cifar", "digits"]].tolist() == [math.inf, math.inf]
    # best: cifar 20, digits 30
    assert board.ratios.loc["a"].tolist() == [3.0, 1.0]
    assert board.ratios.loc["b"].tolist() == [1.0, 2.0]
    # a: (1 + 3) / (2 * 3) = 4/6    b: (3 + 2) / 6 = 5/6    c: 0
    assert board.table["submission"].tolist() == ["b", "a", "c"]
    assert board.table["score"].tolist() == pytest.approx([5 / 6, 4 / 6, 0.0])
    assert board.table["rank"].tolist() == [1, 2, 3]
    assert board.table["n_reached"].tolist() == [2, 2, 0]
    assert board.table["frameworks"].tolist() == ["torch"] * 3
    points = board.table.set_index("submission")["hyperparameters/digits"]
    assert json.loads(points["a"]) == {"learning_rate": 0.5}


def test_records_are_strict_json_with_null_for_a_miss(worked: Path) -> None:
    records = leaderboard_records(score_runs(read_runs([worked])))
    text = json.dumps(records, allow_nan=False)
    by_name = {record["submission"]: record for record in json.loads(text)}
    assert by_name["c"]["workloads"]["cifar"]["time"] is None
    assert by_name["c"]["workloads"]["cifar"]["ratio"] is None
    assert by_name["a"]["workloads"]["digits"]["best_trial"] == {
        "study": 0,
        "trial": 2,
        "time": 10.0,
        "hyperparameters": {"learning_rate": 0.5},
    }
    assert by_name["b"]["rank"] == 1
    assert by_name["b"]["workloads_reached"] == 2


def test_equal_scores_share_a_rank_and_the_next_is_skipped(tmp_path: Path) -> None:
    for name, seconds in {"a": 10, "b": 10, "c": 20}.items():
        reach(tmp_path, seconds, submission=name)
    board = score_runs(read_runs([tmp_path]))
    assert board.table[["submission", "rank"]].to_numpy().tolist() == [["a", 1], ["b", 1], ["c", 3]]


def test_a_workload_without_any_trial_is_a_miss_with_a_note(tmp_path: Path) -> None:
    reach(tmp_path, 10, submission="a", workload="digits")
    reach(tmp_path, 10, submission="a", workload="cifar")
    reach(tmp_path, 10, submission="b", workload="digits")
    board = score_runs(read_runs([tmp_path]))
    assert board.times.loc["b", "cifar"] == math.inf
    assert board.table["score"].tolist() == [1.0, 0.5]
    assert dirt_of(board) == [("no trial", "b on cifar", "counts as missed")]
    record = leaderboard_records(board)[1]
    assert record["workloads"]["cifar"] == {"time": None, "ratio": None, "best_trial": None}


def test_a_workload_that_nobody_reached_counts_for_nobody(tmp_path: Path) -> None:
    for name in ("a", "b"):
        reach(tmp_path, 10, submission=name, workload="digits")
        reach(tmp_path, None, submission=name, workload="cifar")
    assert score_runs(read_runs([tmp_path])).table["score"].tolist() == [0.5, 0.5]


def dirt_of(board: Scoreboard) -> list[tuple[str, ...]]:
    return list(board.dirt[["kind", "where", "effect"]].itertuples(index=False, name=None))


def notes_of(runs: Path) -> tuple[str, ...]:
    return score_runs(read_runs([runs], RunSelection(is_mixed_hardware_allowed=True))).notes


def test_complete_runs_have_no_notes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        reach(tmp_path, 10, submission=name)
    assert notes_of(tmp_path) == ()


def test_deviations_are_noted_once_with_their_count(tmp_path: Path) -> None:
    reach(tmp_path, 10, submission="a", deviations=("1 of 5 studies", "partial data"))
    reach(tmp_path, 10, submission="b", deviations=("1 of 5 studies",))
    assert notes_of(tmp_path) == (
        "not a full score: 1 of 5 studies (holds for all 2 trials)",
        "not a full score: partial data (holds for 1 of 2 trials)",
    )


def test_workloads_are_compared_with_those_of_the_rules(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for workload in ("digits", "wmt"):
            reach(tmp_path, 10, submission=name, workload=workload, version="dev")
    board = score_runs(read_runs([tmp_path]))
    assert board.notes == ("not a full score: 1 of 3 workloads; without cifar, mnist",)
    assert board.table["n_workloads"].tolist() == [1, 1]
    assert dirt_of(board) == [
        ("workload that is not scored", "a on wmt: 1 trial", "left out"),
        ("workload that is not scored", "b on wmt: 1 trial", "left out"),
    ]


def test_where_no_workload_of_the_rules_ran_the_others_are_averaged_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        reach(tmp_path, 10, submission=name, workload="wmt", version="dev")
    board = score_runs(read_runs([tmp_path]))
    assert board.table["score"].tolist() == [1.0, 1.0]
    assert board.notes == (
        "not a full score: 0 of 3 workloads; without cifar, digits, mnist",
        "not a full score: averaged over wmt, which a full score of dev leaves out",
    )


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    planned = {"n_studies": 3, "n_trials": 2}
    for name in ("a", "b"):
        reach(tmp_path, 10, submission=name, workload="digits", **planned)
    for study in range(3):
        reach(tmp_path, 10, submission="a", workload="cifar", study=study, **planned)
        for trial in (1, 2):
            reach(
                tmp_path, 10, submission="b", workload="cifar", study=study, trial=trial, **planned
            )
    assert dirt_of(score_runs(read_runs([tmp_path]))) == [
        ("missing studies", "a on digits: 1 of 3", "counts as missed"),
        ("missing studies", "b on digits: 1 of 3", "counts as missed"),
        ("missing trials", "a on cifar: 3 of 6", "fewer tries"),
        ("missing trials", "a on digits: 1 of 2", "fewer tries"),
        ("missing trials", "b on digits: 1 of 2", "fewer tries"),
    ]


def test_unfinished_and_failed_trials_are_counted(tmp_path: Path) -> None:
    planned = {"n_trials": 4}
    add_trial(tmp_path, [(1.0, 0.5)], Left(reason=None), trial=1, **planned)
    add_trial(tmp_path, [], Left(reason=None, hardware_class=None), trial=2, **planned)
    add_trial(tmp_path, [(1.0, 0.5)], Left(reason="out_of_memory"), trial=3, **planned)
    add_trial(tmp_path, [(1.0, 0.5)], Left(reason="diverged"), trial=4, **planned)
    reach(tmp_path, 10, submission="b")
    assert notes_of(tmp_path) == (
        "adamw: 2 trials are unfinished (digits: 2), 1 of them before a first evaluation",
        "adamw: 1 trial failed with out_of_memory (digits: 1)",
    )


def test_mixture_of_hardware_budgets_and_code_is_noted(tmp_path: Path) -> None:
    planned = {"n_trials": 2}
    add_trial(tmp_path, [(1.0, 0.95)], submission="a", trial=1, source_hash="1" * 64, **planned)
    add_trial(tmp_path, [(1.0, 0.95)], submission="a", trial=2, source_hash="2" * 64, **planned)
    slow = Left(hardware_class="gpu", cut_line='{"st')
    add_trial(tmp_path, [(1.0, 0.95)], slow, submission="b", budget_seconds=50.0)
    assert notes_of(tmp_path) == (
        "mixed hardware, so times do not compare: 2 trials on cpu-2, 1 trial on gpu",
        "different budgets on digits (50 seconds: b; 100 seconds: a)",
        "the last evaluation of 1 trial was cut off and is left out",
        "a: its trials ran 2 different versions of its code",
    )


def test_a_lone_submission_is_told_what_its_score_means(tmp_path: Path) -> None:
    reach(tmp_path, 10)
    assert [note for note in notes_of(tmp_path) if note.startswith("only one submission")]
