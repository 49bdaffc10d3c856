"""The standard training step around a level-1 torch submission: an optimizer and a schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from pacebench import schedules
from pacebench.backends.base import Algorithm, Run, library_hyperparameters, library_schedule
from pacebench.backends.gradients_torch import mean_gradients
from pacebench.errors import SubmissionError
from pacebench.spec import Batch

GRAD_NORM_EPSILON = 1e-6  # AlgoPerf v0.6 baselines: clip / (norm + 1e-6), at most 1


@runtime_checkable
class HasModes(Protocol):
    """An optimizer that evaluates other parameters than it trains, as the schedulefree library's.

    It averages iterates instead of decaying its learning rate.
    """

    def train(self) -> None:
        """Put the parameters in place at which gradients are taken."""
        ...

    def eval(self) -> None:
        """Put the parameters in place that are evaluated."""
        ...


def standard_algorithm(make: Callable[..., Any], where: str) -> Algorithm:
    """Give the level-2 algorithm of `make(params, hparams, run)`.

    `make` returns a torch Optimizer, or a pair of an Optimizer and an LRScheduler that is stepped
    after every step. An optimizer with modes is switched for evaluations. Raises SubmissionError
    if it returns anything else.
    """

    def init(run: Run) -> dict[str, Any]:
        made = make(run.parameters, run.hparams, run)
        pair = made if isinstance(made, tuple) else (made, None)
        if not (
            len(pair) == 2
            and isinstance(pair[0], torch.optim.Optimizer)
            and isinstance(pair[1], LRScheduler | None)
        ):
            raise SubmissionError(
                f"{where} returned {type(made).__name__}; a level-1 torch submission returns a "
                "torch.optim.Optimizer or (Optimizer, LRScheduler)"
            )
        return {"optimizer": pair[0], "scheduler": pair[1]}

    return Algorithm(init=init, step=_step, prepare_eval=_prepare_eval)


def library_algorithm(optimizer_class: Callable[..., Any], where: str) -> Algorithm:
    """Give the algorithm of a library's optimizer class, called with the hyperparameters.

    Its learning rate follows the hyperparameter `schedule`, by default a cosine, or none where the
    optimizer averages instead.
    """

    def make(_parameters: Any, hparams: Any, run: Run) -> Any:
        optimizer = optimizer_class(run.params.values(), **library_hyperparameters(hparams))
        default = schedules.NONE if isinstance(optimizer, HasModes) else schedules.DEFAULT
        factors = library_schedule(hparams, run.step_hint, default)
        if len(factors) == 1:
            return optimizer
        return optimizer, LambdaLR(optimizer, lambda step: schedules.at(factors, step))

    return standard_algorithm(make, where)


def _step(run: Run, state: dict[str, Any], batches: Iterator[Batch]) -> dict[str, Any]:
    optimizer, scheduler = state["optimizer"], state["scheduler"]
    if isinstance(optimizer, HasModes):
        optimizer.train()
    optimizer.zero_grad(set_to_none=True)
    gradients = mean_gradients(run, next(batches))
    if run.hparams.get("grad_clip") is not None:
        clip_gradients(gradients, run.hparams["grad_clip"])
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    return state


def _prepare_eval(_run: Run, state: dict[str, Any]) -> dict[str, Any]:
    if isinstance(state["optimizer"], HasModes):
        state["optimizer"].eval()
    return state


@torch.no_grad()
def clip_gradients(gradients: list[torch.Tensor], max_norm: float) -> None:
    """Scale all gradients so that their global norm is at most `max_norm`, in place."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    factor = (max_norm / (norm + GRAD_NORM_EPSILON)).clamp(max=1.0)
    torch._foreach_mul_(gradients, factor)
