"""Click logs as sources: rows of memory-mapped shards, and the order in which they are trained on.

AlgoPerf shuffles the files of the training days and reads their lines in order, so an epoch's
order is a permutation of the files: a few hundred numbers for 4.2 billion rows. Training's metrics
are measured on the first rows of one such order, the same in every trial.

Letters: B batch, F values of an example (39), P places in an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pacebench.data import aligned_empty
from pacebench.errors import DataError
from pacebench.spec import Batch, DataRequest, Source
from workloads.criteo.clicks import ClickLog
from workloads.criteo.columns import N_CATEGORIES, N_NUMBERS
from workloads.criteo.files import Shard, find_shards, sizes_of
from workloads.criteo.shards import ShardReader

_MANY_RUNS = 32
"""Above so many runs of neighbouring rows a batch is sorted before it is read."""


class ClickSource:
    """The rows of shards, one shard behind the other."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.starts = np.cumsum([0, *(shard.n_rows for shard in shards)])
        """Where each shard begins, and the end of the last."""
        self.size = int(self.starts[-1])
        self._shards = shards
        self._readers: dict[int, ShardReader] = {}

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give inputs [B, 39] float32 (13 logarithms, 26 ids) and targets [B, 1] float32."""
        inputs_BF = aligned_empty((len(indices_B), N_NUMBERS + N_CATEGORIES), np.float32)
        targets_B1 = aligned_empty((len(indices_B), 1), np.float32)
        cuts = np.flatnonzero(np.diff(indices_B) != 1) + 1
        if len(cuts) < _MANY_RUNS:
            bounds = [0, *cuts.tolist(), len(indices_B)]
            for start, stop in pairwise(bounds):
                first = int(indices_B[start])
                rows = slice(first, first + stop - start)
                self._read_run(rows, inputs_BF[start:stop], targets_B1[start:stop])
        else:
            rows_U, places_B = np.unique(indices_B, return_inverse=True)
            self._read_sorted(rows_U, inputs_BF[: len(rows_U)], targets_B1[: len(rows_U)])
            inputs_BF[:] = inputs_BF[places_B]
            targets_B1[:] = targets_B1[places_B]
        return {"inputs": inputs_BF, "targets": targets_B1}

    def _read_run(
        self, rows: slice, inputs_BF: NDArray[np.float32], targets_B1: NDArray[np.float32]
    ) -> None:
        start = rows.start
        while start < rows.stop:
            shard = int(np.searchsorted(self.starts, start, side="right")) - 1
            stop = min(rows.stop, int(self.starts[shard + 1]))
            first = start - int(self.starts[shard])
            out = slice(start - rows.start, stop - rows.start)
            part = slice(first, first + stop - start)
            self._reader(shard).read(part, inputs_BF[out], targets_B1[out])
            start = stop

    def _read_sorted(
        self,
        rows_B: NDArray[np.int64],
        inputs_BF: NDArray[np.float32],
        targets_B1: NDArray[np.float32],
    ) -> None:
        shards_B = np.searchsorted(self.starts, rows_B, side="right") - 1
        for shard in np.unique(shards_B).tolist():
            start, stop = np.searchsorted(shards_B, [shard, shard + 1])
            local_B = rows_B[start:stop] - self.starts[shard]
            self._reader(shard).read(local_B, inputs_BF[start:stop], targets_B1[start:stop])

    def _reader(self, shard: int) -> ShardReader:
        if shard not in self._readers:
            found = self._shards[shard]
            try:
                self._readers[shard] = ShardReader(found.path, found.n_rows)
            except OSError as error:
                raise DataError(f"{found.path}: {error}") from error
        return self._readers[shard]


class FileOrder:
    """An epoch that goes through whole files in a random order, and through each from its begin."""

    def __init__(self, source: ClickSource, seed: int) -> None:
        generator = np.random.Generator(np.random.Philox(seed))
        files = generator.permutation(len(source.starts) - 1)
        sizes = np.diff(source.starts)[files]
        self._starts = source.starts[files]
        self._ends = np.cumsum(sizes)
        self._begins = self._ends - sizes

    def __getitem__(self, places: slice) -> NDArray[np.int64]:
        """Give the rows at these places of the epoch."""
        stop = min(places.stop, int(self._ends[-1]))
        return self.at(np.arange(places.start, max(places.start, stop)))

    def at(self, places_P: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the rows at these places of the epoch, all before its end."""
        files_P = np.searchsorted(self._ends, places_P, side="right")
        return self._starts[files_P] + places_P - self._begins[files_P]


class FirstRows:
    """The first rows of a source in an order of its files."""

    def __init__(self, source: ClickSource, order: FileOrder, size: int) -> None:
        self.size = size
        self._source = source
        self._order = order

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give the rows at these places of the order; see `ClickSource.read`."""
        return self._source.read(self._order.at(indices_B), seeds_B)


def epoch_order(train: Source, seed: int) -> FileOrder:
    """Give the order of one epoch of training."""
    if not isinstance(train, ClickSource):
        raise TypeError(f"the order is that of a ClickSource, not of {type(train).__name__}")
    return FileOrder(train, seed)


def open_sources(log: ClickLog, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    found = find_shards(log, request)
    sizes = sizes_of(log, found)
    train = ClickSource(found["train"])
    return {
        "train": train,
        "eval_train": FirstRows(train, FileOrder(train, 0), sizes["eval_train"]),
        "validation": ClickSource(found["validation"]),
        "test": ClickSource(found["test"]),
    }
