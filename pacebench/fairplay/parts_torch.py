"""What a probe needs of torch: the parameters that are evaluated, and what must stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch._dynamo  # noqa: F401 (every optimizer imports it: once, before the forks)
from numpy.typing import NDArray

from pacebench.backends.base import Run

MUST_STAY = (
    "torch.cuda.synchronize",
    "torch.cuda.Event.record",
    "torch.cuda.Event.synchronize",
    "torch.cuda.Stream.synchronize",
    "torch.cuda.is_available",
    "torch.cuda.manual_seed",
    "torch.from_numpy",
    "torch.no_grad.__enter__",
    "torch.Tensor.backward",
    "torch.Tensor.detach",
    "torch.nn.Module.__call__",
    "torch.nn.Module._call_impl",
    "torch.nn.Module.load_state_dict",
    "torch.nn.functional.cross_entropy",
)
"""Functions by which the clock waits and by which models are evaluated."""


def initial(run: Run) -> list[NDArray[Any]]:
    """Give copies of the parameters that a submission is handed, in the model's order."""
    return [np.array(value.detach().float().cpu().numpy()) for value in run.params.values()]


def evaluated(run: Run, state: Any) -> list[NDArray[Any]]:  # noqa: ARG001 (jax evaluates it)
    """Give copies of the parameters that would be evaluated now."""
    return initial(run)
