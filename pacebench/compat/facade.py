"""The workload that an AlgoPerf submission is given, made from a plan and a workload of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pacebench.backends.base import Run
from pacebench.compat import spec
from pacebench.compat.history import MetricsLogger
from pacebench.plan import TrialPlan
from pacebench.spec import Loss, LossValue, Workload

LOSS_TYPES = {
    Loss.SOFTMAX_CROSS_ENTROPY: spec.LossType.SOFTMAX_CROSS_ENTROPY,
    Loss.SIGMOID_CROSS_ENTROPY: spec.LossType.SIGMOID_CROSS_ENTROPY,
    Loss.MEAN_SQUARED_ERROR: spec.LossType.MEAN_SQUARED_ERROR,
    Loss.CTC: spec.LossType.CTC_LOSS,
    Loss.MEAN_ABSOLUTE_ERROR: spec.LossType.MEAN_ABSOLUTE_ERROR,
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """The framework's part of the workload."""

    model_fn: Callable[..., tuple[Any, Any]]
    loss_fn: Callable[..., dict[str, Any]]
    param_shapes: Any
    model_params_types: Any


def make_workload(plan: TrialPlan, workload: Workload, run: Run, calls: Calls) -> spec.Workload:
    """Give the workload of a trial; make it once, since it is hashed by identity."""
    rules, names = plan.rules, workload.output_parameters[plan.framework]
    return spec.Workload(
        model_fn=calls.model_fn,
        loss_fn=calls.loss_fn,
        metrics_logger=MetricsLogger(run) if run.rank == 0 else None,
        param_shapes=calls.param_shapes,
        model_params_types=calls.model_params_types,
        output_params=frozenset(names) | {name.partition("/")[0] for name in names},
        step_hint=rules.step_hint,
        max_allowed_runtime_sec=_whole(rules.hint_seconds),
        eval_period_time_sec=_whole(rules.eval_period_seconds),
        target_metric_name=rules.metric,
        is_larger_better=rules.larger_is_better,
        validation_target_value=rules.validation_target,
        test_target_value=rules.test_target,
        loss_type=LOSS_TYPES[workload.loss],
        num_train_examples=plan.sizes["train"],
        num_eval_train_examples=plan.sizes["eval_train"],
        num_validation_examples=plan.sizes["validation"],
        num_test_examples=plan.sizes.get("test"),
        eval_batch_size=plan.eval_batch_size,
    )


def default_dropout_rate(hyperparameters: Any, is_v05: bool) -> float | None:
    """Give the dropout rate of calls that name none; None is the model's own default.

    AlgoPerf v0.5 built the model with the hyperparameter `dropout_rate`; since v0.6 a submission
    names the rate in every call. Our models have one rate: v0.5's `aux_dropout_rate` is left out.
    """
    if not is_v05:
        return None
    rate = getattr(hyperparameters, "dropout_rate", None)
    auxiliary = getattr(hyperparameters, "aux_dropout_rate", rate)
    if auxiliary != rate:
        _log.warning(
            "aux_dropout_rate %s is not used: every dropout has the rate %s", auxiliary, rate
        )
    return rate


def loss_dict(loss: LossValue) -> dict[str, Any]:
    """Give a loss as AlgoPerf's `loss_fn` does."""
    return {
        "summed": loss.summed,
        "n_valid_examples": loss.n_valid_examples,
        "per_example": loss.per_example,
    }


def _whole(seconds: float) -> float:
    """Give an int where it is one, as AlgoPerf's are."""
    return int(seconds) if seconds == int(seconds) else seconds
