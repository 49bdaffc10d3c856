"""A submission's batch sizes, and learning rates that follow them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pacebench.errors import SubmissionError, unknown_name
from pacebench.spec import LearningRateScaling

LEARNING_RATE = "learning_rate"
BASE_LEARNING_RATE = "base_learning_rate"
"""Under this name a scaled point keeps the learning rate that was drawn."""


def read_batch_size(raw: Any, where: str) -> tuple[dict[str, int], LearningRateScaling | None]:
    """Give batch sizes by workload and the scaling, from `batch_size` of a submission's metadata.

    Raises SubmissionError that names `where`.
    """
    table = {"default": raw} if isinstance(raw, int) else raw
    sizes = dict(table) if isinstance(table, dict) else {}
    rule, base = sizes.pop("learning_rate_scaling", None), sizes.pop("base", None)
    numbers = [*sizes.values(), *([] if base is None else [base])]
    if not isinstance(table, dict) or not all(
        isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers
    ):
        raise SubmissionError(
            f"{where}: batch_size must be a positive integer, or a table of them by workload"
        )
    if (rule is None) != (base is None):
        raise SubmissionError(
            f"{where}: [batch_size] has one of learning_rate_scaling and base; give both (the "
            "rule, and the batch size for which the learning rates are meant) or neither"
        )
    if rule is None:
        return sizes, None
    if not isinstance(rule, str) or rule not in _FACTORS:
        raise SubmissionError(
            f"{where}: {unknown_name('learning_rate_scaling', str(rule), _FACTORS)}"
        )
    return sizes, LearningRateScaling(rule=rule, base=base)


def scaled(
    point: Mapping[str, Any], scaling: LearningRateScaling | None, batch_size: int
) -> dict[str, Any]:
    """Give a point of hyperparameters as a trial with this global batch size uses it.

    Without `scaling` it is the point itself. Otherwise `learning_rate` is η, and
    `base_learning_rate` is what was drawn, η_base; with B the batch size:

    linear: η = η_base · B / B_base (Goyal et al. 2017, arXiv:1706.02677, section 2.1: B steps of
    size 1 go as far as one step of size B). sqrt: η = η_base · √(B / B_base) (Krizhevsky 2014,
    arXiv:1404.5997, section 5: the step's variance stays; Malladi et al. 2022, arXiv:2205.10287,
    derive it for Adam and RMSProp, and scale 1 - β and ε as well, which we do not).

    Raises SubmissionError if the point has no number `learning_rate`.
    """
    if scaling is None:
        return dict(point)
    drawn = point.get(LEARNING_RATE)
    if isinstance(drawn, bool) or not isinstance(drawn, int | float):
        raise SubmissionError(
            f"learning_rate_scaling needs a hyperparameter '{LEARNING_RATE}' that is a number; the "
            f"point has {', '.join(point) or 'nothing'}: add it, or take the scaling out"
        )
    factor = _FACTORS[scaling.rule](batch_size / scaling.base)
    return {**point, LEARNING_RATE: drawn * factor, BASE_LEARNING_RATE: drawn}


_FACTORS: Mapping[str, Callable[[float], float]] = {"linear": float, "sqrt": math.sqrt}
"""By rule: what the learning rate is multiplied by, from B / B_base."""
