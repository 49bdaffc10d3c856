"""The few evaluations near a target decide what all of them decide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scoring import METHODS, read_runs, score_runs
from scoring.methods import Method
from scoring.near_target import near_target, study_counts
from scoring.profiles import mean_area
from scoring.score_rules import Columns
from scoring.time_to_target import median_of_studies, study_times, trial_times
from tests.scoring.log_trees import StudyCell, runs_of
from tests.scoring.random_runs import random_runs
from tests.scoring.run_folders import add_trial

RELAXED = 0.05


def kept(runs: Path, relaxed: float = RELAXED) -> list[tuple[int, int, float]]:
    """Give trial, number of the evaluation and value of what is kept of the runs in a folder."""
    read = read_runs([runs])
    near = near_target(read.trials, read.rows, relaxed)
    return list(zip(near["trial_id"], near["evaluation"], near["validation"], strict=True))


def test_of_one_trial_the_steps_up_to_the_target_are_kept(tmp_path: Path) -> None:
    # The target 0.9, 5% easier, is 0.855: 0.85 is below it, and 0.86 again is no new best.
    values = (0.85, 0.86, 0.5, 0.86, 0.88, 0.95, 0.97)
    add_trial(tmp_path, [(10.0 * (i + 1), value) for i, value in enumerate(values)])
    assert kept(tmp_path) == [(0, 2, 0.86), (0, 5, 0.88), (0, 6, 0.95)]
    assert kept(tmp_path, relaxed=0.0) == [(0, 6, 0.95)]


def test_of_a_study_only_the_trials_that_come_first_are_kept(tmp_path: Path) -> None:
    # Trial 1 is first at every target; 2 is later than it, and 3 is nearer only after the budget.
    add_trial(tmp_path, [(10.0, 0.86), (20.0, 0.95)], trial=1, n_trials=3)
    add_trial(tmp_path, [(15.0, 0.86), (30.0, 0.95)], trial=2, n_trials=3)
    add_trial(tmp_path, [(50.0, 0.5), (101.0, 0.95)], trial=3, n_trials=3)
    assert kept(tmp_path) == [(0, 1, 0.86), (0, 2, 0.95)]


def test_what_only_one_method_chooses_is_kept(tmp_path: Path) -> None:
    # The second trial meets the target earlier in time, the first at an earlier evaluation.
    add_trial(tmp_path, [(30.0, 0.95)], trial=1, n_trials=2)
    add_trial(tmp_path, [(5.0, 0.1), (10.0, 0.95)], trial=2, n_trials=2)
    assert kept(tmp_path) == [(0, 1, 0.95), (1, 2, 0.95)]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("seed", range(12))
def test_medians_from_what_is_kept_are_those_from_all_evaluations(
    method: Method, seed: int
) -> None:
    runs = random_runs(seed)
    columns = score_runs(runs).columns
    near = near_target(runs.trials, runs.rows, RELAXED)
    counts = study_counts(runs.trials, sorted(set(runs.trials["submission"])), columns)
    n = counts["n_planned" if method.is_missing_study_missed else "n_evaluated"].tolist()
    cells = list(zip(counts["submission"], counts["workload"], strict=True))
    trials, rows = records(runs.trials.reset_index()), records(near)
    for relaxed in (0.0, 0.013, RELAXED):
        timed = trial_times(runs.trials, runs.rows, method, relaxed)
        for cost, name in (("time", "time"), ("steps", "step")):
            found = median_of_studies(study_times(timed, columns, method, cost).times)
            costs = plain_costs(trials, rows, method, relaxed, name)
            assert found.reshape(-1).tolist() == [
                plain_median(costs.get(cell, []), n_studies)
                for cell, n_studies in zip(cells, n, strict=True)
            ]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table as plain values."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def plain_costs(
    trials: list[dict[str, Any]],
    near: list[dict[str, Any]],
    method: Method,
    relaxed: float,
    cost: str,
) -> dict[tuple[str, str], list[float]]:
    """Give by cell the costs of the studies with a hit, by a plain loop."""
    best: dict[tuple[str, str, int], tuple[float, float]] = {}
    for trial in trials:
        share = relaxed * abs(trial["target"])
        for row in near:
            is_met = (
                row["validation"] >= trial["target"] - share
                if trial["larger_is_better"]
                else row["validation"] <= trial["target"] + share
            )
            is_counted = not (row["is_late"] and method.is_budget_kept)
            if row["trial_id"] == trial["trial_id"] and is_met and is_counted:
                first = row["evaluation"] if method.is_fewest_evaluations_first else 0
                key = (trial["submission"], trial["workload"], trial["study"])
                best[key] = min(best.get(key, (math.inf, math.inf)), (first, row[cost]))
                break
    costs: dict[tuple[str, str], list[float]] = {}
    for (submission, workload, _), (_, value) in best.items():
        costs.setdefault((submission, workload), []).append(value)
    return costs


def plain_median(costs: list[float], n: int) -> float:
    """Give the median of `costs` and as many misses as make n."""
    if n == 0:
        return math.inf
    ordered = [*sorted(costs), *[math.inf] * (n - len(costs))]
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def test_studies_are_counted_as_planned_and_as_evaluated() -> None:
    cells = [
        StudyCell(submission="a", workload="u", study=study, seconds=seconds)
        for study, seconds in enumerate((1.0, None, 2.0))
    ]
    columns = Columns(base=("u", "nobody"), held_out=(), gated=())
    for n_studies, n_planned in ((5, 5), (2, 3)):
        trials = runs_of(cells, n_studies=n_studies).trials
        counts = study_counts(trials, ["a", "b"], columns)
        assert counts["n_planned"].tolist() == [n_planned, 0, 0, 0]
        assert counts["n_evaluated"].tolist() == [2, 0, 0, 0]


def test_the_same_areas_give_the_same_score_however_they_lie_in_memory() -> None:
    area = np.random.default_rng(0).random((500, 9))
    in_columns = np.asfortranarray(area)
    assert mean_area(in_columns).tolist() == mean_area(area).tolist()
    shuffled = area[:, [8, 3, 1, 0, 7, 5, 2, 6, 4]]
    assert mean_area(shuffled).tolist() == mean_area(area).tolist()


def test_a_clock_that_runs_backwards_keeps_every_first_hit(tmp_path: Path) -> None:
    add_trial(tmp_path, [(10.0, 0.86), (20.0, 0.88), (40.0, 0.95)], trial=1, n_trials=2)
    add_trial(tmp_path, [(5.0, 0.95)], trial=2, n_trials=2)
    runs = read_runs([tmp_path])
    assert len(near_target(runs.trials, runs.rows, RELAXED)) == 1
    backwards = runs.rows.assign(time=[40.0, 10.0, 20.0, 5.0])
    assert len(near_target(runs.trials, backwards, RELAXED)) == 4
