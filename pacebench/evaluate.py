"""Evaluation: a metric over every split, the same whatever the batch size or number of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pacebench.backends.base import Backend
from pacebench.beam_search import search
from pacebench.data import eval_batches
from pacebench.spec import Decoding, Metric, Source

MEASURED_ON = {"train": "eval_train", "validation": "validation", "test": "test"}
"""The names metrics are given under, and the sources they are measured on."""


def evaluate(
    backend: Backend,
    metric: Metric,
    sources: Mapping[str, Source],
    batch_size: int,
    decoding: Decoding | None = None,
) -> dict[str, float]:
    """Give all metrics of all splits, named "<split>/<metric>", on every rank.

    A data set without a test split has no such metrics.
    With a `decoding`, the model also writes a sequence for every example of its splits; the metric
    finds them in the batch as `decoded`, int32 [B, max_length - 1].
    """
    metrics: dict[str, float] = {}
    for split, name in MEASURED_ON.items():
        if name == "test" and name not in sources:
            continue
        source = sources[name]
        partial = None
        for batch in eval_batches(source, batch_size, backend.rank, backend.n_ranks):
            outputs, loss = backend.eval_batch(batch)
            if decoding is not None and split in decoding.splits:
                advance = backend.open_decoding(batch, decoding)
                batch["decoded"] = search(advance, len(batch["weights"]), decoding)
            update = metric.update(outputs, loss, batch)
            partial = update if partial is None else metric.merge(partial, update)
        partials = [p for p in backend.gather(partial) if p is not None]
        values = metric.finish(reduce(metric.merge, partials), source.size)
        metrics |= {f"{split}/{key}": float(value) for key, value in values.items()}
    return metrics
