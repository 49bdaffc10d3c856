"""The functions of an AlgoPerf submission: which there are, and whether what they give can be."""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from pacebench.errors import SubmissionError

REQUIRED = ("init_optimizer_state", "update_params", "data_selection", "get_batch_size")


class Point(NamedTuple):
    """Where training stands, in AlgoPerf's containers."""

    params: Any
    model_state: Any
    optimizer_state: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Functions:
    """What the harness calls of a submission's module."""

    init_optimizer_state: Callable[..., Any]
    update_params: Callable[..., Any]
    data_selection: Callable[..., Any]
    prepare_for_eval: Callable[..., Any] | None
    takes_train_state: bool
    """Whether `update_params` has a parameter of that name (AlgoPerf v0.6)."""


def functions_of(module: ModuleType, where: str) -> Functions:
    """Give the functions of a submission's module; raises SubmissionError for a missing one."""
    missing = [name for name in REQUIRED if not callable(getattr(module, name, None))]
    if missing:
        raise SubmissionError(
            f"{where} has no function {' and no '.join(missing)}; an AlgoPerf submission needs "
            f"{', '.join(REQUIRED)}"
        )
    return Functions(
        init_optimizer_state=module.init_optimizer_state,
        update_params=module.update_params,
        data_selection=module.data_selection,
        prepare_for_eval=getattr(module, "prepare_for_eval", None),
        takes_train_state="train_state" in inspect.signature(module.update_params).parameters,
    )


def returned_point(returned: Any, name: str) -> Point:
    """Give what `update_params` or `prepare_for_eval` returned; raises SubmissionError."""
    if not isinstance(returned, tuple) or len(returned) != 3:
        what = f"{len(returned)} values" if isinstance(returned, tuple) else _kind(returned)
        raise SubmissionError(
            f"{name} returned {what}; it must return (optimizer_state, params, model_state)"
        )
    optimizer_state, params, model_state = returned
    return Point(params=params, model_state=model_state, optimizer_state=optimizer_state)


def hyperparameters_of(ruleset: str, values: Mapping[str, Any]) -> Any:
    """Give AlgoPerf's named tuple of hyperparameters; None under self-tuning rules.

    Raises SubmissionError if a name cannot be a field.
    """
    if ruleset == "self":
        return None
    try:
        return namedtuple("Hyperparameters", values)(**values)
    except ValueError as error:
        raise SubmissionError(f"hyperparameters cannot be a named tuple: {error}") from error


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
