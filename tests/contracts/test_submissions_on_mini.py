"""What every built-in submission promises on every MINI workload, at the sizes of the table.

Too long for `make test`: `make bench` runs it (pytest -m bench).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pacebench.plan import TrialPlan
from pacebench.plugins import installed_submissions
from pacebench.spec import DataRequest
from pacebench.study import PlannedTrial, write_plan
from pacebench.trial import Trial
from tests.contracts.compilations import COMPILATIONS, capture_only
from tests.contracts.finite import is_finite
from tests.contracts.resuming import check_resuming
from tests.contracts.table import CASES, Case
from tests.contracts.test_backends import measure
from tests.support import draw, open_trial, with_rules
from tuning.rules import load_rules

SUBMISSIONS = installed_submissions()
PAIRS = [
    pytest.param(name, case, id=f"{name}-{case.workload.name}")
    for name, submission in SUBMISSIONS.items()
    for case in CASES
    if case.workload.name.endswith("_mini") and case.framework == submission.framework
]
pytestmark = [pytest.mark.bench, pytest.mark.parametrize(("name", "case"), PAIRS)]


def draw_study(name: str, case: Case, folder: Path) -> list[PlannedTrial]:
    """The trials of one study, or that of the self-tuning values, as the rules `mini` plan them."""
    drawn = draw(
        SUBMISSIONS[name],
        workloads=[case.workload],
        rules=load_rules("mini"),
        ruleset="self" if SUBMISSIONS[name].search_space is None else "external",
        clock="steps",
        data=DataRequest(data_dir=Path(case.data_dir(folder) or "."), allow_partial=True),
    )
    sizes = {"batch_size": case.batch_size, "eval_batch_size": case.eval_batch_size}
    plans = [dataclasses.replace(one.plan, **sizes) for one in drawn]
    return [
        dataclasses.replace(one, plan=plan)
        for one, plan in zip(drawn, plans, strict=True)
        if plan.study == 0
    ]


def open_planned(drawn: PlannedTrial, plan: TrialPlan, case: Case, out: Path) -> Trial:
    """The trial, with a plan like its own; its folder holds the submission's code."""
    folder = write_plan([dataclasses.replace(drawn, plan=plan)], out)[0]
    return open_trial(plan, folder, workload=case.workload)


def loss_of(trial: Trial, case: Case) -> float:
    """The training loss as an evaluation now gives it."""
    trial.backend.prepare_eval()
    return measure(trial)[case.loss_metric]


def test_a_study_has_a_point_that_trains_and_nothing_recompiles_after_step_2(
    name: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_lower_after_training(drawn: PlannedTrial) -> bool:
        plan = dataclasses.replace(drawn.plan, is_compiled=True)
        trial = open_planned(drawn, plan, case, tmp_path / "runs")

        def step_to(first: int, last: int) -> float:
            for step in range(first, last + 1):
                trial.backend.step(step)
            return loss_of(trial, case)

        before = step_to(1, 2)
        losses: list[float] = []
        assert COMPILATIONS[case.framework](lambda: losses.append(step_to(3, case.n_steps))) == []
        return is_finite(trial) and losses[0] < before

    capture_only(monkeypatch)
    assert any(map(is_lower_after_training, draw_study(name, case, tmp_path)))


def test_a_resumed_trial_ends_with_the_same_bytes(name: str, case: Case, tmp_path: Path) -> None:
    drawn = draw_study(name, case, tmp_path)[0]
    rules = drawn.plan.rules
    two_steps = 2 * rules.hint_seconds / rules.step_hint
    target = 1e9 if rules.larger_is_better else -1e9
    changes = {"eval_period_seconds": two_steps, "validation_target": target}
    plan = with_rules(drawn.plan, max_steps=6, **changes)
    check_resuming(lambda out: open_planned(drawn, plan, case, out), tmp_path / "runs")
