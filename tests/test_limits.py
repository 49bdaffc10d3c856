"""When to evaluate and when to stop, as a state machine over made-up times."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacebench.limits import Action, Limits, limits_of
from pacebench.rows import EvalRow, Reason
from tests.support import PLAN, RULES


def limits(*, budget: float = 10.0, eval_period: float = 1.0, **rules: Any) -> Limits:
    return Limits(rules=dataclasses.replace(RULES, **rules), budget=budget, eval_period=eval_period)


def row(step: int, value: float, *, test: float = 0.0, loss: float = 1.0) -> EvalRow:
    metrics = {"validation/accuracy": value, "test/accuracy": test, "validation/loss": loss}
    return EvalRow(step=step, seconds=float(step), metrics=metrics)


V05 = {"budget_check": "every_step", "eval_when_over_budget": True}
V06 = {"budget_check": "at_eval", "eval_when_over_budget": False}


@pytest.mark.parametrize("rules", [V05, V06], ids=["0.5", "0.6"])
def test_the_first_evaluation_follows_step_1(rules: dict[str, Any]) -> None:
    action = limits(**rules).next_action(step=1, charged=0.01, last_eval=None, is_finished=False)
    assert action is Action.EVALUATE


def test_version_05_stops_past_the_budget_without_an_evaluation() -> None:
    action = limits(**V05).next_action(step=9, charged=10.0, last_eval=9.5, is_finished=False)
    assert action is Action.STOP


def test_version_05_makes_an_evaluation_that_is_due_past_the_budget() -> None:
    rule = limits(**V05)
    assert (
        rule.next_action(step=9, charged=10.2, last_eval=9.0, is_finished=False) is Action.EVALUATE
    )
    assert rule.evaluates_at(10.2)


def test_version_06_trains_past_the_budget_up_to_the_next_evaluation_which_it_drops() -> None:
    rule = limits(**V06)
    assert (
        rule.next_action(step=9, charged=10.2, last_eval=9.5, is_finished=False) is Action.CONTINUE
    )
    assert (
        rule.next_action(step=9, charged=10.5, last_eval=9.5, is_finished=False) is Action.EVALUATE
    )
    assert not rule.evaluates_at(10.5)


def test_the_target_must_be_beaten_strictly_when_running() -> None:
    rule = limits(validation_target=0.9)
    assert rule.stop_reason([row(1, 0.9)], charged=1.0, is_finished=False) is None
    assert rule.stop_reason([row(1, 0.91)], charged=1.0, is_finished=False) is Reason.TARGET


def test_both_targets_may_be_reached_at_different_evaluations() -> None:
    rule = limits(validation_target=0.9, test_target=0.8, stop_at="validation_and_test")
    first, second = row(1, 0.95, test=0.1), row(2, 0.5, test=0.85)
    assert rule.stop_reason([first], charged=1.0, is_finished=False) is None
    assert rule.stop_reason([first, second], charged=2.0, is_finished=False) is Reason.TARGET


def test_a_smaller_value_reaches_the_target_where_smaller_is_better() -> None:
    rule = limits(validation_target=0.1, larger_is_better=False)
    assert rule.stop_reason([row(1, 0.05)], charged=1.0, is_finished=False) is Reason.TARGET
    assert rule.stop_reason([row(1, 0.2)], charged=1.0, is_finished=False) is None


def test_nan_reaches_no_target() -> None:
    rule = limits(validation_target=0.1, larger_is_better=False)
    assert rule.stop_reason([row(1, math.nan)], charged=1.0, is_finished=False) is None


def test_a_trial_ends_as_diverged_after_the_stated_number_of_evaluations() -> None:
    rule = limits(diverged_after_evaluations=2)
    bad = [row(1, 0.1), row(2, 0.1, loss=math.nan), row(3, 0.1, loss=math.inf)]
    assert rule.stop_reason(bad[:2], charged=1.0, is_finished=False) is None
    assert rule.stop_reason(bad, charged=1.0, is_finished=False) is Reason.DIVERGED


def test_where_divergence_does_not_stop_a_trial_it_is_still_named_at_the_end() -> None:
    rows = [row(1, 0.1, loss=math.nan)]
    rule = limits(diverged_after_evaluations=0)
    assert rule.stop_reason(rows, charged=1.0, is_finished=False) is None
    assert rule.stop_reason(rows, charged=10.0, is_finished=False) is Reason.DIVERGED


def test_a_submission_that_has_finished_ends_after_its_evaluation() -> None:
    rule = limits()
    assert rule.next_action(step=5, charged=2.0, last_eval=1.9, is_finished=True) is Action.EVALUATE
    assert rule.stop_reason([row(5, 0.1)], charged=2.0, is_finished=True) is Reason.FINISHED


def test_seconds_become_steps_through_the_step_hint() -> None:
    plan = dataclasses.replace(
        PLAN,
        clock="steps",
        rules=dataclasses.replace(
            RULES, budget_seconds=30.0, hint_seconds=10.0, step_hint=200, eval_period_seconds=0.5
        ),
    )
    # 200 steps in 10 s are 20 steps a second: 30 s are 600 steps, 0.5 s are 10
    assert (limits_of(plan).budget, limits_of(plan).eval_period) == (600.0, 10.0)


@given(
    step_seconds=st.lists(st.floats(0.001, 2.0), min_size=1, max_size=200),
    budget=st.floats(0.5, 20.0),
    eval_period=st.floats(0.05, 5.0),
    version=st.sampled_from([V05, V06]),
    max_steps=st.none() | st.integers(1, 50),
)
def test_a_run_of_any_step_times_keeps_the_rules(
    step_seconds: list[float],
    budget: float,
    eval_period: float,
    version: dict[str, Any],
    max_steps: int | None,
) -> None:
    """Play a loop: evaluations are a period apart, and training past the budget is bounded."""
    rule = limits(budget=budget, eval_period=eval_period, max_steps=max_steps, **version)
    charged, last_eval, evals, last_step = 0.0, None, [], 0
    for step, seconds in enumerate(step_seconds, start=1):
        before = charged
        charged += seconds
        last_step = step
        action = rule.next_action(
            step=step, charged=charged, last_eval=last_eval, is_finished=False
        )
        if version is V05:
            assert before < budget  # no step begins past the budget
        if action is Action.STOP or (action is Action.EVALUATE and not rule.evaluates_at(charged)):
            assert charged >= budget
            break
        if action is Action.EVALUATE:
            evals.append(charged)
            last_eval = charged
            if rule.stop_reason([row(step, 0.0)], charged=charged, is_finished=False):
                break
    assert evals or step_seconds[0] >= budget
    gaps = [b - a for a, b in itertools.pairwise(evals)]
    assert all(g >= eval_period for g in gaps[:-1])
    assert max_steps is None or last_step <= max_steps
