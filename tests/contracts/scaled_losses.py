"""A loss whose gradient can be made nothing, or huge, while a compiled step runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from pacebench.trial import Trial


@dataclasses.dataclass(kw_only=True)
class Scale:
    """What the losses of a trial are multiplied by."""

    value: float = 1.0


def _in_jax(scale: Scale) -> Any:
    """The scale as a compiled step reads it, anew in each step."""
    return jax.pure_callback(lambda: np.float32(scale.value), jax.ShapeDtypeStruct((), np.float32))


READ: dict[str, Callable[[Scale], Any]] = {"torch": lambda scale: scale.value, "jax": _in_jax}


def scale_losses(trial: Trial) -> Scale:
    """Let a trial's losses be multiplied by the scale that is given back, 1 at first."""
    scale, run, read = Scale(), trial.backend.run, READ[trial.plan.framework]
    compute = run.loss

    def loss(outputs: Any, batch: Any, label_smoothing: float = 0.0) -> Any:
        value = compute(outputs, batch, label_smoothing=label_smoothing)
        return dataclasses.replace(value, summed=value.summed * read(scale))

    run.loss = loss
    return scale
