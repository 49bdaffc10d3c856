"""A workload whose losses, and so gradients, can be made nothing or huge while a step is compiled.

The scale comes with each training batch, as any input does; evaluations do not see it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pacebench.backends.base import Run
from pacebench.spec import Batch, Workload

KEY = "loss_scale"


@dataclasses.dataclass(kw_only=True)
class Scale:
    """What the losses of the batches to come are multiplied by."""

    value: float = 1.0


def with_scale(workload: Workload, scale: Scale) -> Workload:
    """A workload without a transform of its own, whose training batches carry the scale."""
    assert workload.mix is None

    def mix(rows: Batch, seed: int) -> Batch:
        batch = {name: values[1:] for name, values in rows.items()}  # the first is the neighbour's
        return {**batch, KEY: np.full(len(batch["targets"]), scale.value, np.float32)}

    return dataclasses.replace(workload, mix=mix)


def apply_scales(run: Run) -> None:
    """Let the losses that a submission asks for be multiplied by their batch's scale."""
    compute = run.loss

    def loss(outputs: Any, batch: Batch, label_smoothing: float = 0.0) -> Any:
        value = compute(outputs, batch, label_smoothing=label_smoothing)
        if KEY not in batch:
            return value
        return dataclasses.replace(value, summed=value.summed * batch[KEY][0])

    run.loss = loss
