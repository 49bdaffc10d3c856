"""wmt's splits as sources: packed rows for training, a pair to a row for evaluation.

Source: AlgoPerf v0.6, wmt, input_pipeline.py; README.md says where we differ.

Letters: B batch, P pairs, L tokens of a row, M bytes of the longest reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacebench.data import fixed_subset
from pacebench.errors import DataError
from pacebench.spec import Batch, DataRequest, Source
from workloads.wmt.corpus import SPLITS, Corpus
from workloads.wmt.files import SIDES, Pairs, Side, find_manifest, open_pairs
from workloads.wmt.packing import fill, pack, place


class PackedSource:
    """Training rows, each of several pairs; packed once, so a row is the same in every epoch."""

    def __init__(self, pairs: Pairs, max_length: int) -> None:
        known_N2 = np.stack([pairs.inputs.known_N, pairs.targets.known_N], axis=1)
        self._firsts = pack(known_N2, max_length)
        self._pairs = pairs
        self._max_length = max_length
        self.size = len(self._firsts) - 1

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give ids, positions and segments of both sides, [B, L] int32, and weights, float32."""
        placed = place(self._firsts[indices_B], self._firsts[indices_B + 1])
        batch: Batch = {}
        for name, side in zip(SIDES, (self._pairs.inputs, self._pairs.targets), strict=True):
            batch[name], batch[f"{name}_position"], batch[f"{name}_segmentation"] = fill(
                side.tokens,
                side.starts_N[placed.pairs_P],
                side.known_N[placed.pairs_P].astype(np.int64),
                placed,
                (len(indices_B), self._max_length),
            )
        return {**batch, "weights": _weights(batch["targets"])}


class PairSource:
    """Pairs for evaluation, one in a row, whole, with the raw text of their targets."""

    def __init__(
        self, pairs: Pairs, chosen: NDArray[np.int64], max_length: int, n_reference_bytes: int
    ) -> None:
        self.size = len(chosen)
        self._arrays = {
            name: _whole(side, chosen, max_length)
            for name, side in zip(SIDES, (pairs.inputs, pairs.targets), strict=True)
        }
        self._references = np.zeros((self.size, n_reference_bytes), np.uint8)
        for row, text in zip(self._references, pairs.references, strict=True):
            row[: len(text)] = np.frombuffer(text, np.uint8)

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give inputs and targets [B, L] int32, weights float32, and references [B, M] uint8."""
        batch: Batch = {name: array[indices_B] for name, array in self._arrays.items()}
        references = self._references[indices_B]
        return {**batch, "weights": _weights(batch["targets"]), "references": references}


def open_sources(corpus: Corpus, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    folder, manifest = find_manifest(corpus, request)
    pairs = {split: open_pairs(folder, split) for split in SPLITS}
    for split, part in pairs.items():
        n_kept = manifest["counts"][split]["kept"]
        n_references = min(n_kept, corpus.n_eval_train) if split == "train" else n_kept
        if len(part) != n_kept or len(part.references) != n_references:
            raise DataError(
                f"{folder} does not hold the pairs of {split} that its manifest states; delete it "
                "and prepare again"
            )
    # One width for all splits: what compiles for one serves the others.
    n_reference_bytes = max(len(text) for part in pairs.values() for text in part.references)
    sources: dict[str, Source] = {"train": PackedSource(pairs["train"], corpus.max_length)}
    for split in ("eval_train", "validation", "test"):
        part = pairs["train" if split == "eval_train" else split]
        chosen = fixed_subset(len(part), len(part.references))
        sources[split] = PairSource(part, chosen, corpus.max_length, n_reference_bytes)
    return sources


def _whole(side: Side, pairs_P: NDArray[np.int64], max_length: int) -> NDArray[np.int32]:
    rows = place(np.arange(len(pairs_P)), np.arange(1, len(pairs_P) + 1))
    lengths_P = side.lengths_N[pairs_P].astype(np.int64)
    shape = (len(pairs_P), max_length)
    return fill(side.tokens, side.starts_N[pairs_P], lengths_P, rows, shape)[0]


def _weights(targets: NDArray[np.int32]) -> NDArray[np.float32]:
    return (targets > 0).astype(np.float32)
