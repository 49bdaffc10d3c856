"""The metric of criteo1tb: the mean loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacebench.spec import Batch, LossValue, Partial


@dataclass(frozen=True, slots=True)
class MeanLoss:
    """The sum of the examples' losses divided by the split's size (AlgoPerf v0.6, criteo1tb).

    It is the cross entropy in nats; losses are float32 as there, their sum is float64.
    """

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:  # noqa: ARG002 (the loss is all)
        """Give the summed loss of the examples that are not padding."""
        losses_B = loss.per_example.reshape(-1).astype(np.float64)
        return {"loss": np.float64(losses_B @ batch["weights"].astype(np.float64))}

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums."""
        return {"loss": left["loss"] + right["loss"]}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        """Divide by the split's size."""
        return {"loss": float(partial["loss"]) / n_examples}
