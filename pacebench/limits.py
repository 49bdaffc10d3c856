"""When to evaluate and when to stop: pure functions of the rules, in the clock's unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pacebench.plan import TrialPlan, TrialRules
from pacebench.rows import EvalRow, Reason


class Action(Enum):
    """What the loop does after a step."""

    CONTINUE = "continue"
    SAVE = "save"
    EVALUATE = "evaluate"
    STOP = "stop"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Budget and evaluation period of a trial, in the clock's unit (seconds or steps)."""

    rules: TrialRules
    budget: float
    eval_period: float

    def is_over_budget(self, charged: float) -> bool:
        """Whether the budget is used up."""
        return charged >= self.budget

    def is_last_step(self, step: int) -> bool:
        """Whether the rules allow no step after this one."""
        return self.rules.max_steps is not None and step >= self.rules.max_steps

    def next_action(
        self, *, step: int, charged: float, last_eval: float | None, is_finished: bool
    ) -> Action:
        """What to do after `step`, given what is charged and what was at the last evaluation.

        The first evaluation follows step 1, the next ones follow every `eval_period`, and one
        follows the last step. With `budget_check` "every_step" a trial past its budget stops at
        once, without an evaluation unless one is due (AlgoPerf v0.5); with "at_eval" it goes on
        to the next evaluation point (AlgoPerf v0.6).
        """
        is_due = (
            is_finished
            or self.is_last_step(step)
            or last_eval is None
            or charged - last_eval >= self.eval_period
        )
        if is_due:
            return Action.EVALUATE
        if self.rules.budget_check == "every_step" and self.is_over_budget(charged):
            return Action.STOP
        return Action.CONTINUE

    def evaluates_at(self, charged: float) -> bool:
        """Whether a due evaluation is made at all, now that the charged time is known exactly."""
        return self.rules.eval_when_over_budget or not self.is_over_budget(charged)

    def stop_reason(
        self, rows: Sequence[EvalRow], *, charged: float, is_finished: bool
    ) -> Reason | None:
        """Why the trial ends after its newest evaluation, or None if it goes on."""
        if self._has_reached_target(rows):
            return Reason.TARGET
        streak = _diverged_streak(rows)
        limit = self.rules.diverged_after_evaluations
        if limit and streak >= limit:
            return Reason.DIVERGED
        ends = {
            Reason.FINISHED: is_finished,
            Reason.BUDGET: self.is_over_budget(charged),
            Reason.MAX_STEPS: self.is_last_step(rows[-1].step),
        }
        reason = next((r for r, holds in ends.items() if holds), None)
        return Reason.DIVERGED if reason and streak else reason

    def _has_reached_target(self, rows: Sequence[EvalRow]) -> bool:
        """Whether the targets were reached, each at any evaluation so far (strictly better)."""
        rules = self.rules
        wanted = {"validation": rules.validation_target}
        if rules.stop_at == "validation_and_test" and rules.test_target is not None:
            wanted["test"] = rules.test_target
        sign = 1.0 if rules.larger_is_better else -1.0
        return all(
            any(
                sign * row.metrics.get(f"{split}/{rules.metric}", math.nan) > sign * target
                for row in rows
            )
            for split, target in wanted.items()
        )


def limits_of(plan: TrialPlan) -> Limits:
    """Give a plan's limits; under a clock of steps, seconds become steps through the step hint."""
    rules = plan.rules
    if plan.clock == "seconds":
        return Limits(
            rules=rules, budget=rules.budget_seconds, eval_period=rules.eval_period_seconds
        )
    steps_per_second = rules.step_hint / rules.hint_seconds
    return Limits(
        rules=rules,
        budget=float(max(1, round(rules.budget_seconds * steps_per_second))),
        eval_period=float(max(1, round(rules.eval_period_seconds * steps_per_second))),
    )


def _diverged_streak(rows: Sequence[EvalRow]) -> int:
    """How many of the newest evaluations in a row hold a train or validation value not finite."""
    streak = 0
    for row in reversed(rows):
        values = [v for k, v in row.metrics.items() if not k.startswith("test/")]
        if all(math.isfinite(v) for v in values):
            break
        streak += 1
    return streak
