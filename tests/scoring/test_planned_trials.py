"""Every planned trial has a row, whatever of it is there."""

from __future__ import annotations

from pathlib import Path

from scoring.planned_trials import planned_trials
from tests.scoring.run_folders import Left, add_trial
from tests.scoring.study_folders import add_studies, board_of


def rows_of(runs: Path, submission: str, workload: str) -> list[tuple[int, float, bool, int]]:
    table = planned_trials(board_of(runs))
    cell = table[(table["submission"] == submission) & (table["workload"] == workload)]
    columns = ["study", "time", "is_hit", "n_rows"]
    return list(cell[columns].itertuples(index=False, name=None))


def test_trials_that_are_not_there_are_misses_at_the_budget(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0, None], [20.0]], n_studies=3)
    assert rows_of(tmp_path, "a", "digits") == [
        (0, 10.0, True, 2),
        (0, 100.0, False, 1),
        (1, 20.0, True, 2),
        (1, 100.0, False, 0),
        (-1, 100.0, False, 0),
        (-1, 100.0, False, 0),
    ]


def test_studies_keep_their_numbers(tmp_path: Path) -> None:
    planned = {"submission": "a", "n_studies": 4}
    add_trial(tmp_path, [(10.0, 0.95)], study=2, **planned)
    add_trial(tmp_path, [(20.0, 0.95)], study=1, **planned)
    assert [row[:2] for row in rows_of(tmp_path, "a", "digits")] == [
        (1, 20.0),
        (2, 10.0),
        (-1, 100.0),
        (-2, 100.0),
    ]


def test_a_crash_and_a_trial_without_evaluations_cost_the_budget(tmp_path: Path) -> None:
    planned = {"submission": "a", "n_trials": 2, "budget_seconds": 50.0}
    add_trial(tmp_path, [(1.0, 0.2)], Left(reason="out_of_memory"), trial=1, **planned)
    add_trial(tmp_path, [], Left(reason=None), trial=2, **planned)
    assert rows_of(tmp_path, "a", "digits") == [(0, 50.0, False, 1), (0, 50.0, False, 0)]


def test_who_did_not_run_a_workload_has_the_plan_of_the_others(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0]])
    add_studies(tmp_path, "a", "cifar", [[10.0, 20.0]], budget_seconds=60.0)
    add_studies(tmp_path, "b", "digits", [[10.0]])
    assert rows_of(tmp_path, "b", "cifar") == [(-1, 60.0, False, 0), (-1, 60.0, False, 0)]


def test_trials_beyond_the_plan_have_no_row(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", "digits", [[10.0, 20.0], [30.0, 40.0]], n_studies=1, n_trials=1)
    assert rows_of(tmp_path, "a", "digits") == [(0, 10.0, True, 2)]
