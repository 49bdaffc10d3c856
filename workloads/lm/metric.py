"""The metric of the language models: mean loss of a token, and perplexity.

Source: AlgoPerf v1.0, finewebedu_lm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pacebench.spec import Batch, LossValue, Partial


@dataclass(frozen=True, kw_only=True, slots=True)
class Perplexity:
    """`loss`, the mean over all tokens of a split, and `ppl`, its exponential."""

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:  # noqa: ARG002 (the loss is all)
        """Give the sum of the losses [B, L] and their number, in float64."""
        losses_BL = loss.per_example.astype(np.float64)
        n_tokens = batch["weights"].astype(np.float64).sum() * losses_BL.shape[1]
        return {"loss": losses_BL.sum(), "tokens": n_tokens}

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:  # noqa: ARG002 (tokens count, not windows)
        """Divide by the number of tokens; a loss too large for an exponential gives infinity."""
        mean = np.float64(partial["loss"] / partial["tokens"])
        with np.errstate(over="ignore"):
            return {"loss": float(mean), "ppl": float(np.exp(mean))}
