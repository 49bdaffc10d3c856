"""Metrics that several workloads share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacebench.spec import Batch, LossValue, Partial


@dataclass(frozen=True, slots=True)
class Classification:
    """Accuracy and mean loss over a split, from logits [B, n_classes] and integer targets [B].

    Both are sums over the examples divided by the split's size (AlgoPerf v0.6, mnist and cifar).
    """

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give the weighted number of hits and the summed loss, in float64."""
        weights_B = batch["weights"].astype(np.float64)
        hits_B = outputs.argmax(-1) == batch["targets"]
        return {
            "accuracy": np.float64(hits_B @ weights_B),
            "loss": np.float64(loss.per_example.astype(np.float64) @ weights_B),
        }

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        """Divide by the split's size."""
        return {name: float(value) / n_examples for name, value in partial.items()}
