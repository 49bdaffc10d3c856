"""The gradient of a batch's mean loss in torch, whole or part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from pacebench.backends.base import Run, check_parts, n_parts_of
from pacebench.backends.ranks_torch import sum_in_place
from pacebench.spec import Batch


def mean_gradients(run: Run, batch: Batch) -> list[torch.Tensor]:
    """Give the gradients of the mean loss over the global batch, which are the parameters' `grad`.

    No parameter may have a `grad` before. With `accumulation_steps` K the gradients of K parts are
    summed, and the sum is divided by the count of all valid examples: the whole batch's gradient up
    to rounding, where no part's statistics enter the model. Raises SubmissionError if K does not
    divide this rank's batch.
    """
    parameters = run.params.values()
    n_parts = n_parts_of(run.hparams)
    if n_parts == 1:
        summed, n_valid_examples = _loss_of(run, batch)
        summed.backward(1.0 / run.all_reduce(n_valid_examples))  # an operation less than the mean
        gradients = [p.grad for p in parameters if p.grad is not None]
        sum_in_place(gradients)
        return gradients
    counts = []
    for part in parts_of(batch, n_parts):
        summed, n_valid_examples = _loss_of(run, part)
        summed.backward()
        counts.append(n_valid_examples)
    gradients = [p.grad for p in parameters if p.grad is not None]
    sum_in_place(gradients)
    torch._foreach_div_(gradients, run.all_reduce(torch.stack(counts).sum()))
    return gradients


def parts_of(batch: Batch, n_parts: int) -> Iterator[Batch]:
    """Go through a batch's parts (dicts and tuples of tensors), each every K-th row, as views.

    Raises SubmissionError if they are not equal.
    """
    for first in range(n_parts):
        yield _every(n_parts, first, batch)


def _loss_of(run: Run, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    outputs = run.forward(batch, dropout_rate=run.hparams.get("dropout_rate"))
    loss = run.loss(outputs, batch, label_smoothing=run.hparams.get("label_smoothing", 0.0))
    return loss.summed, loss.n_valid_examples


def _every(n_parts: int, first: int, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _every(n_parts, first, v) for name, v in value.items()}
    if isinstance(value, tuple):
        return tuple(_every(n_parts, first, v) for v in value)
    check_parts(len(value), n_parts)
    return value[first::n_parts]
