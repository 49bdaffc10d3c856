"""NadamW sequential trains anew from the first parameters in every round, and then has finished."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from pacebench.plugins import installed_submissions
from pacebench.rows import Reason
from pacebench.study import write_plan
from pacebench.trial import Progress, run_trial
from tests.support import draw, open_trial, with_rules

SUBMISSION = installed_submissions()["nadamw_sequential"]
HINT = 3


def planned(out: Path) -> tuple:  # type: ignore[type-arg]
    (drawn,) = draw(SUBMISSION, ruleset="self", clock="steps")
    rates = {**drawn.plan.hyperparameters, "learning_rate": [0.0, 0.1, 1e-3]}
    plan = dataclasses.replace(drawn.plan, hyperparameters=rates)
    plan = with_rules(plan, step_hint=HINT, budget_seconds=1e6, eval_period_seconds=1e6)
    return plan, write_plan([dataclasses.replace(drawn, plan=plan)], out)[0]


def test_every_round_starts_from_the_first_parameters(tmp_path: Path) -> None:
    trial = open_trial(*planned(tmp_path))
    parameters = trial.backend.run.params

    def after(steps: range) -> torch.Tensor:
        for step in steps:
            trial.backend.step(step)
        return parameters["layers.2.weight"].detach().clone()

    start = parameters["layers.2.weight"].detach().clone()
    assert torch.equal(after(range(1, 4)), start)  # the first round's rate is 0 here
    assert (after(range(4, 7)) - start).abs().max() > 0.05
    # The third round's rate is a hundredth of the second's: it cannot have come back by steps.
    assert 0 < (after(range(7, 10)) - start).abs().max() < 0.01


def test_it_says_that_it_has_finished_after_the_last_round(tmp_path: Path) -> None:
    trial = open_trial(*planned(tmp_path))
    assert run_trial(trial, Progress()) is Reason.FINISHED
    assert trial.backend.run.step == 3 * HINT + 1
