"""AlgoPerf's `spec` module as submissions see it: enums, type aliases, the workload, one signal.

Numbers and names: AlgoPerf v0.5 and v0.6, `spec.py`. The aliases are evaluated when a submission
is imported and mean nothing to us, so most of them are Any.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pacebench.spec import ParameterKind


class LossType(enum.Enum):
    """The losses, by AlgoPerf's numbers."""

    SOFTMAX_CROSS_ENTROPY = 0
    SIGMOID_CROSS_ENTROPY = 1
    MEAN_SQUARED_ERROR = 2
    CTC_LOSS = 3
    MEAN_ABSOLUTE_ERROR = 4


class ForwardPassMode(enum.Enum):
    """How `model_fn` is called."""

    TRAIN = 0
    EVAL = 1


ParameterType = enum.Enum("ParameterType", {kind.name: kind.value for kind in ParameterKind})


class TrainingCompleteError(Exception):
    """Raised inside `update_params` when the submission wants to stop."""


class ShapeTuple:
    """A shape that jax takes for a leaf, where a bare tuple would be a branch."""

    def __init__(self, shape_tuple: tuple[int, ...]) -> None:
        self.shape_tuple = shape_tuple

    def __repr__(self) -> str:
        """Give it as the call that makes it."""
        return f"ShapeTuple({self.shape_tuple})"

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same shape."""
        return isinstance(other, ShapeTuple) and self.shape_tuple == other.shape_tuple

    __hash__ = None  # type: ignore[assignment] (as in AlgoPerf)


@dataclass(frozen=True, kw_only=True, eq=False)
class Workload:
    """A workload as submissions see it; one object per process.

    It is hashed by identity: jax submissions hand it to `jit` and `pmap` as a static argument.
    """

    model_fn: Callable[..., tuple[Any, Any]]
    loss_fn: Callable[..., dict[str, Any]]
    metrics_logger: Any
    """Has `append_scalar_metrics`; None on all ranks but the first."""
    param_shapes: Any
    """Shaped like the parameters (torch: a dict by name), with ShapeTuple leaves."""
    model_params_types: Any
    """The same with ParameterType leaves; jax names are in lower case."""
    output_params: frozenset[str]
    step_hint: int
    max_allowed_runtime_sec: float
    eval_period_time_sec: float
    target_metric_name: str
    is_larger_better: bool
    validation_target_value: float
    test_target_value: float | None
    loss_type: LossType
    num_train_examples: int
    num_eval_train_examples: int
    num_validation_examples: int
    num_test_examples: int | None
    eval_batch_size: int

    def has_reached_validation_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether `eval_result` is strictly better than the validation target."""
        return self._is_better(eval_result, "validation", self.validation_target_value)

    def has_reached_test_target(self, eval_result: Mapping[str, float]) -> bool:
        """The same for the test target; False where there is none or its metric is hidden."""
        target = self.test_target_value
        return target is not None and self._is_better(eval_result, "test", target)

    def is_output_params(self, param_key: str) -> bool:
        """Whether a parameter (or, in jax, a module) is the model's output layer."""
        return param_key in self.output_params

    @property
    def train_mean(self) -> Any:
        """Raise: the pipeline has normalised the data already."""
        raise NotImplementedError("pacebench's batches are normalised already")

    @property
    def train_stddev(self) -> Any:
        """Raise: the pipeline has normalised the data already."""
        raise NotImplementedError("pacebench's batches are normalised already")

    def _is_better(self, eval_result: Mapping[str, float], split: str, target: float) -> bool:
        value = eval_result.get(f"{split}/{self.target_metric_name}", math.nan)
        return value > target if self.is_larger_better else value < target


Tensor = Any
Shape = tuple[int, ...]
ParameterKey = str
ParameterContainer = Any
ParameterShapeTree = Any
ParameterTypeTree = Any
ModelAuxiliaryState = Any
ModelInitState = tuple[Any, Any]
RandomState = Any
OptimizerState = Any
Hyperparameters = Any
Timing = float
Steps = int
UpdateReturn = tuple[OptimizerState, ParameterContainer, ModelAuxiliaryState]
InitOptimizerFn = Callable[..., OptimizerState]
UpdateParamsFn = Callable[..., UpdateReturn]
PrepareForEvalFn = Callable[..., UpdateReturn]
DataSelectionFn = Callable[..., Any]
