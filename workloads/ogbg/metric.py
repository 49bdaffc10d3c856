"""The metric of ogbg: mean average precision over labels, accuracy and loss.

Source: AlgoPerf v0.6, ogbg, metrics.py (both frameworks); README.md says where we differ.

Letters: M graphs, K labels, B graphs of a batch, R graphs with a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Batch, LossValue, Partial


@dataclass(frozen=True, slots=True)
class Labelled:
    """`mean_average_precision`, `ogb_average_precision`, `accuracy` and `loss`.

    `mean_average_precision`, AlgoPerf's, decides the target: the mean over the labels that some
    graph has as 1. `ogb_average_precision`, OGB's own, also asks for a graph that has it as 0;
    AlgoPerf counts a label of ones alone as 1. Both are NaN if no label counts, or if an output is
    NaN. Accuracy and loss are means over all labels that are there.
    """

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give sums in float64, and outputs and labels of the graphs that have a label.

        `outputs`, targets, weights and losses are [..., K]; labels are 0, 1, or -1 where missing.
        """
        n_labels = outputs.shape[-1]
        logits_MK, targets_MK, weights_MK = (
            a.reshape(-1, n_labels) for a in (outputs, batch["targets"], batch["weights"])
        )
        has_label_MK = weights_MK > 0
        is_hit_MK = (logits_MK > 0) == (targets_MK > 0)
        kept_M = has_label_MK.any(axis=1)
        labels_MK = np.where(has_label_MK, targets_MK > 0, -1).astype(np.int8)
        return {
            "loss": loss.per_example.astype(np.float64).sum(),
            "hits": np.float64(np.count_nonzero(is_hit_MK & has_label_MK)),
            "count": np.float64(np.count_nonzero(has_label_MK)),
            "logits": logits_MK[kept_M],
            "labels": labels_MK[kept_M],
        }

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums, and put the graphs behind each other."""
        sums = {name: left[name] + right[name] for name in ("loss", "hits", "count")}
        wholes = {name: np.concatenate([left[name], right[name]]) for name in ("logits", "labels")}
        return {**sums, **wholes}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:  # noqa: ARG002 (labels count, not graphs)
        """Average over the labels that are there, and over what can be ranked."""
        labels_RK, logits_RK = partial["labels"], partial["logits"]
        count = partial["count"] or np.nan
        return {
            "mean_average_precision": mean_average_precision(_sigmoid(logits_RK), labels_RK, (1,)),
            "ogb_average_precision": mean_average_precision(logits_RK, labels_RK, (0, 1)),
            "accuracy": float(partial["hits"] / count),
            "loss": float(partial["loss"] / count),
        }


def mean_average_precision(
    scores_RK: NDArray[np.float32], labels_RK: NDArray[np.int8], needed: tuple[int, ...]
) -> float:
    """Give the mean over the labels of which every value `needed` is there; NaN if none is."""
    if np.isnan(scores_RK).any():
        return float("nan")
    precisions = [
        average_precision(scores_R[labels_R >= 0], labels_R[labels_R >= 0])
        for scores_R, labels_R in zip(scores_RK.T, labels_RK.T, strict=True)
        if all((labels_R == value).any() for value in needed)
    ]
    return float(np.mean(precisions)) if precisions else float("nan")


def average_precision(scores_R: NDArray[np.float32], labels_R: NDArray[np.int8]) -> float:
    """Give Σ (recall_n - recall_{n-1}) precision_n over the thresholds, largest score first.

    Equal scores are one threshold. The labels are 0 and 1, one of them 1 at the least. It is what
    scikit-learn's `average_precision_score` gives.
    """
    order = np.argsort(-scores_R, kind="stable")
    scores_R, hits_R = scores_R[order], np.cumsum(labels_R[order], dtype=np.int64)
    is_last_R = np.append(scores_R[1:] != scores_R[:-1], True)
    hits = hits_R[is_last_R]
    precisions = hits / (np.flatnonzero(is_last_R) + 1)
    return float(np.diff(hits, prepend=0) @ precisions / hits[-1])


def _sigmoid(logits_RK: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give probabilities in float32, in which large logits are equal, as AlgoPerf ranks them."""
    from scipy.special import expit

    probabilities: NDArray[np.float32] = expit(logits_RK.astype(np.float32))
    return probabilities
