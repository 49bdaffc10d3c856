"""Times to the target of trials, studies and workloads, worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scoring import PUBLISHED, read_runs, score_runs, trial_times
from scoring.sensitivity import by_cost
from tests.scoring.run_folders import Left, add_trial


def time_of(tmp_path: Path, values: Sequence[tuple[float, float]], **changes: Any) -> float:
    add_trial(tmp_path, values, **changes)
    runs = read_runs([tmp_path])
    return float(trial_times(runs.trials, runs.rows)["time_to_target"].iloc[0])


def test_the_first_evaluation_at_the_target_counts(tmp_path: Path) -> None:
    assert time_of(tmp_path, [(1.0, 0.5), (2.0, 0.91), (3.0, 0.89), (4.0, 0.95)]) == 2.0


def test_exactly_the_target_meets_it(tmp_path: Path) -> None:
    assert time_of(tmp_path, [(1.0, 0.8999), (2.0, 0.9)]) == 2.0


def test_of_a_loss_the_smaller_is_better(tmp_path: Path) -> None:
    changes = {"metric": "loss", "larger_is_better": False, "validation_target": 0.3}
    assert time_of(tmp_path, [(1.0, 0.9), (2.0, 0.31), (3.0, 0.3)], **changes) == 3.0


def test_exactly_the_budget_is_within_it(tmp_path: Path) -> None:
    assert time_of(tmp_path, [(100.0, 0.95)]) == 100.0


def test_past_the_budget_is_a_miss(tmp_path: Path) -> None:
    assert time_of(tmp_path, [(1.0, 0.5), (100.001, 0.95)]) == math.inf


def test_nan_never_meets_a_target(tmp_path: Path) -> None:
    assert time_of(tmp_path, [(1.0, math.nan), (2.0, math.inf)]) == math.inf


def test_nan_never_meets_a_target_that_is_small(tmp_path: Path) -> None:
    changes = {"metric": "loss", "larger_is_better": False}
    assert time_of(tmp_path, [(1.0, math.nan)], **changes) == math.inf


def test_no_evaluation_is_a_miss(tmp_path: Path) -> None:
    assert time_of(tmp_path, []) == math.inf


def test_only_the_target_metric_on_validation_counts(tmp_path: Path) -> None:
    folder = add_trial(tmp_path, [(1.0, 0.5)])
    (folder / "rows.jsonl").write_text(
        '{"step": 1, "seconds": 1, "metrics": {"train/accuracy": 1, "test/accuracy": 1, '
        '"validation/loss": 1}}\n'
    )
    runs = read_runs([tmp_path])
    assert trial_times(runs.trials, runs.rows)["time_to_target"].tolist() == [math.inf]


def test_a_target_reached_before_a_crash_was_reached(tmp_path: Path) -> None:
    add_trial(tmp_path, [(5.0, 0.95)], Left(reason="error"), trial=1)
    add_trial(tmp_path, [(4.0, 0.95)], Left(reason=None), trial=2)
    runs = read_runs([tmp_path])
    assert trial_times(runs.trials, runs.rows)["time_to_target"].tolist() == [5.0, 4.0]


def test_under_a_clock_of_steps_times_are_steps_and_the_budget_is_converted(tmp_path: Path) -> None:
    # 1000 steps are made in 100 s, so a budget of 150 s is 1500 steps.
    changes = {"clock": "steps", "budget_seconds": 150.0, "step_hint": 1000, "hint_seconds": 100.0}
    add_trial(tmp_path, [(1, 0.5), (1500, 0.9)], trial=1, **changes)
    add_trial(tmp_path, [(1, 0.5), (1501, 0.9)], trial=2, **changes)
    runs = read_runs([tmp_path])
    assert runs.unit == "steps"
    assert runs.trials["budget"].tolist() == [1500.0, 1500.0]
    assert trial_times(runs.trials, runs.rows)["time_to_target"].tolist() == [1500.0, math.inf]


def test_a_study_takes_its_fastest_trial_or_as_published_the_one_with_fewest_evaluations(
    tmp_path: Path,
) -> None:
    planned = {"n_trials": 2, "n_studies": 1}
    add_trial(tmp_path, [(30.0, 0.95)], trial=1, **planned)
    add_trial(tmp_path, [(5.0, 0.5), (10.0, 0.5), (20.0, 0.95)], trial=2, **planned)
    runs = read_runs([tmp_path])
    assert score_runs(runs).times.loc["adamw", "digits"] == 20.0
    assert score_runs(runs, method=PUBLISHED).times.loc["adamw", "digits"] == 30.0


@pytest.mark.parametrize(
    ("times", "n_studies", "median", "published"),
    [
        ([30.0, 10.0, 20.0], 3, 20.0, 20.0),
        ([30.0, 10.0, math.inf], 3, 30.0, 30.0),
        ([10.0, math.inf, math.inf], 3, math.inf, math.inf),
        ([30.0, 10.0], 3, 30.0, 20.0),  # 10, 30, missing; as published (10 + 30) / 2
        ([10.0], 3, math.inf, 10.0),
        ([10.0, 20.0, 40.0, 80.0], 4, 30.0, 30.0),
        ([10.0, 20.0, 40.0], 4, 30.0, 20.0),  # 10, 20, 40, missing: (20 + 40) / 2
        ([10.0, 20.0], 4, math.inf, 15.0),
        ([10.0, 20.0, 30.0], 5, 30.0, 20.0),
        ([7.0], 1, 7.0, 7.0),
        ([math.inf], 1, math.inf, math.inf),
    ],
)
def test_the_median_counts_missing_studies_as_misses_or_as_published_not_at_all(
    times: list[float], n_studies: int, median: float, published: float, tmp_path: Path
) -> None:
    for study, time in enumerate(times):
        values = [(1.0, 0.5)] if math.isinf(time) else [(time, 0.95)]
        add_trial(tmp_path, values, study=study, n_studies=n_studies)
    runs = read_runs([tmp_path])
    assert score_runs(runs).times.loc["adamw", "digits"] == median
    assert score_runs(runs, method=PUBLISHED).times.loc["adamw", "digits"] == published


def test_the_best_trial_is_the_fastest_else_the_closest_to_the_target(tmp_path: Path) -> None:
    add_trial(tmp_path, [(30.0, 0.99)], submission="a", n_trials=2, trial=1)
    add_trial(tmp_path, [(20.0, 0.91)], submission="a", n_trials=2, trial=2)
    add_trial(tmp_path, [(1.0, 0.3)], submission="b", n_trials=3, trial=1)
    add_trial(tmp_path, [(1.0, 0.6), (2.0, math.nan)], submission="b", n_trials=3, trial=2)
    add_trial(tmp_path, [(1.0, math.nan)], submission="b", n_trials=3, trial=3)
    trials = score_runs(read_runs([tmp_path])).trials
    best = trials[trials["is_best"]]
    assert best[["submission", "trial"]].to_numpy().tolist() == [["a", 2], ["b", 2]]
    assert best["best_validation"].tolist() == [0.91, 0.6]


def test_of_trials_equally_fast_the_first_is_the_best(tmp_path: Path) -> None:
    add_trial(tmp_path, [(30.0, 0.91)], n_trials=2, trial=1)
    add_trial(tmp_path, [(30.0, 0.99)], n_trials=2, trial=2)
    assert score_runs(read_runs([tmp_path])).trials["is_best"].tolist() == [True, False]


def test_calls_of_the_model_are_counted_or_logged_or_not_known(tmp_path: Path) -> None:
    # A step of pacebench's own calls the model once; another submission says it itself.
    add_trial(tmp_path, [(1.0, 0.5), (20.0, 0.95)], submission="own")
    logging = add_trial(tmp_path, [(1.0, 0.5), (20.0, 0.95)], submission="two", style="algorithm")
    lines = ['{"step": 10, "metrics": {"model_evaluations": 20}}', "damaged"]
    lines += ['{"step": 199, "metrics": {"model_evaluations": 398.0, "loss": 1}}']
    lines += ['{"step": 200, "metrics": {"model_evaluations": 1' + 400 * "0" + "}}"]
    lines += ['{"step": 201, "metrics": {"model_evaluations": 402}}']
    (logging / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    runs = read_runs([tmp_path])
    board = score_runs(runs)
    found = board.trials.set_index("submission")["model_evaluations_at_target"]
    assert found.to_dict() == {"own": 200.0, "two": 398.0}
    # 200 calls against 398: the ratio 1.99 scores (4 - 1.99) / 3 = 0.67; the times are equal.
    ranks = by_cost(runs, board)
    assert ranks[ranks["cost"] == "model_evaluations"]["score"].tolist() == pytest.approx([1, 0.67])
    add_trial(tmp_path, [(1.0, 0.5), (20.0, 0.95)], submission="silent", style="algorithm")
    runs = read_runs([tmp_path])
    assert set(by_cost(runs, score_runs(runs))["cost"]) == {"time", "steps", "evaluations"}
