"""What every built-in submission promises, on digits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pacebench.evaluate import evaluate
from pacebench.plan import TrialPlan
from pacebench.plugins import installed_submissions
from pacebench.rows import Reason
from pacebench.study import write_plan
from pacebench.trial import Progress, Trial, resume, run_trial
from tests.contracts.compilations import COMPILATIONS, capture_only
from tests.support import draw, open_trial, with_rules
from tuning.space import parse_space

SUBMISSIONS = installed_submissions()
pytestmark = pytest.mark.parametrize("name", SUBMISSIONS)


def planned(name: str, out: Path, n_steps: int, trial: int = 1) -> tuple[TrialPlan, Path]:
    """A planned trial of a submission, with its code copied."""
    drawn = draw(SUBMISSIONS[name], trials=5, clock="steps")[trial - 1]
    plan = with_rules(drawn.plan, max_steps=n_steps, eval_period_seconds=0.1)
    return plan, write_plan([dataclasses.replace(drawn, plan=plan)], out)[0]


def opened(name: str, out: Path, n_steps: int, trial: int = 1) -> Trial:
    return open_trial(*planned(name, out, n_steps, trial))


def test_training_loss_halves(name: str, tmp_path: Path) -> None:
    trial = opened(name, tmp_path, 100, trial=4)
    rows = []
    for step in range(1, 81):
        trial.backend.step(step)
        if step in (1, 80):
            trial.backend.prepare_eval()
            rows.append(evaluate(trial.backend, trial.workload.metric, trial.sources, 512))
    assert rows[1]["train/loss"] < rows[0]["train/loss"] / 2


def test_a_resumed_trial_ends_with_the_same_bytes(name: str, tmp_path: Path) -> None:
    whole = opened(name, tmp_path / "whole", 6)
    assert run_trial(whole, Progress()) is Reason.MAX_STEPS
    stops = iter([False, False, False, True])
    first = dataclasses.replace(
        opened(name, tmp_path / "halves", 6), is_interrupted=lambda: next(stops)
    )
    assert run_trial(first, Progress()) is None
    second = open_trial(first.plan, first.store.folder)
    progress = resume(second, second.store.load_checkpoint())
    assert progress.step == 4
    assert run_trial(second, progress) is Reason.MAX_STEPS
    for file in ("rows.jsonl", "checkpoint/state.npz"):
        resumed = (second.store.folder / file).read_bytes()
        assert resumed == (whole.store.folder / file).read_bytes()


def test_nothing_recompiles_after_step_2(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture_only(monkeypatch)
    plan, folder = planned(name, tmp_path, 100)
    trial = open_trial(dataclasses.replace(plan, is_compiled=True), folder)

    def step_and_evaluate(steps: tuple[int, ...]) -> None:
        for step in steps:
            trial.backend.step(step)
        trial.backend.prepare_eval()
        evaluate(trial.backend, trial.workload.metric, trial.sources, 512)
        trial.backend.wait()

    step_and_evaluate((1, 2))
    counted = COMPILATIONS[trial.plan.framework]
    assert counted(lambda: step_and_evaluate((3, 4, 5))) == []


def test_its_metadata_is_complete(name: str) -> None:
    submission = SUBMISSIONS[name]
    assert submission.description
    assert submission.paper.startswith("https://")
    space = parse_space(submission.search_space, name)
    assert submission.self_tuning is not None
    assert set(submission.self_tuning) == set(space.dimensions)  # type: ignore[union-attr] (a table)
