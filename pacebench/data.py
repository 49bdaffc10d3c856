"""The input pipeline: numpy batches in a fixed order that depends on the seed alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pacebench.seeds import Seed, example_seeds
from pacebench.shards import N_SHARDS, ShardedSource, ShardStarts, shards_in_order, shards_of_rank
from pacebench.spec import Batch, EpochOrder, Source

ALIGNMENT_BYTES = 64  # of XLA's buffers on a CPU


class TrainBatches:
    """The endless training batches of one rank; resumable at any position.

    Examples come in a new random order every epoch; batches run on across epochs, so every batch
    is full. The global batch does not depend on the number of ranks: each takes its slice. The
    batch at a position is a function of seed and position alone. `mix`, `has_fixed_draws` and
    `epoch_order` are those of `pacebench.spec.Workload`: a transform of the global batch, whether
    an example has the same seed in every epoch, and an order of an epoch that is not random. A
    batch of a `ShardedSource` holds as many examples as fit (`pacebench.shards`), unmixed.
    """

    def __init__(  # noqa: PLR0913 (the last three are a workload's fields)
        self,
        source: Source,
        *,
        seed: Seed,
        batch_size: int,
        rank: int = 0,
        n_ranks: int = 1,
        mix: Callable[[Batch, int], Batch] | None = None,
        has_fixed_draws: bool = False,
        epoch_order: Callable[[Source, int], EpochOrder] | None = None,
    ) -> None:
        self.position = 0
        self._source = source
        self._seed = seed
        self._batch_size = batch_size
        self._mix = mix
        self._has_fixed_draws = has_fixed_draws
        self._epoch_order = epoch_order
        self._slice = slice(batch_size // n_ranks * rank, batch_size // n_ranks * (rank + 1))
        self._orders: dict[int, EpochOrder] = {}
        self._example_seed = seed.child("examples").value
        self._read_shards = None
        if isinstance(source, ShardedSource):
            self._read_shards = self._shard_reader(source, shards_of_rank(rank, n_ranks))

    def __iter__(self) -> Iterator[Batch]:
        """Give itself."""
        return self

    def __next__(self) -> Batch:
        """Give the next batch: this rank's slice of the next global batch."""
        position = self.position
        self.position += 1
        if self._read_shards is not None:
            return self._read_shards(position)
        start = position * self._batch_size + self._slice.start
        stop = start + self._slice.stop - self._slice.start
        parts = self._rows(start, stop)
        if self._mix is None:
            return self._read(parts)
        before = start - 1 if self._slice.start else start - 1 + self._batch_size
        rows = self._read(self._rows(before, before + 1) + parts)
        return self._mix(rows, self._seed.child("mix", position).value)

    def _shard_reader(self, source: ShardedSource, mine: slice) -> Callable[[int], Batch]:
        """Give read(position): this rank's shards of a batch."""
        room = source.train_room(self._batch_size)
        starts = ShardStarts(source, room, lambda epoch: self._order(epoch)[0 : source.size])

        def read(position: int) -> Batch:
            before = position * N_SHARDS
            firsts = starts.between(before + mine.start, before + mine.stop)
            indices = [part for part, _ in self._rows(int(firsts[0]), int(firsts[-1]))]
            return source.read_shards(np.concatenate(indices), np.diff(firsts), room)

        return read

    def _rows(self, start: int, stop: int) -> list[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        """Give indices and seeds of the rows from `start` to `stop`, counted over all epochs."""
        parts = []
        while start < stop:  # once, but for a batch in which an epoch ends
            epoch, offset = divmod(start, self._source.size)
            part_B = self._order(epoch)[offset : offset + stop - start]
            drawn_in = 0 if self._has_fixed_draws else epoch
            parts.append((part_B, example_seeds(self._example_seed, drawn_in, part_B)))
            start += len(part_B)
        return parts

    def _read(self, parts: list[tuple[NDArray[np.int64], NDArray[np.uint64]]]) -> Batch:
        if len(parts) == 1:
            return self._source.read(*parts[0])
        indices, seeds = zip(*parts, strict=True)
        return self._source.read(np.concatenate(indices), np.concatenate(seeds))

    def _order(self, epoch: int) -> EpochOrder:
        if epoch not in self._orders:
            self._orders = {e: o for e, o in self._orders.items() if e >= epoch - 1}
            seed = self._seed.child("order", epoch)
            if self._epoch_order is None:
                self._orders[epoch] = seed.generator().permutation(self._source.size)
            else:
                self._orders[epoch] = self._epoch_order(self._source, seed.value)
        return self._orders[epoch]


class ReadAhead:
    """Batches made by another thread while those before them are used.

    The order is that of the batches; `position` counts those handed out, not those read ahead, so
    a trial resumes at the batch that it would have seen.
    """

    def __init__(self, batches: TrainBatches, depth: int = 2) -> None:
        self._batches = batches
        self._depth = depth
        self._position = batches.position
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")
        self._coming: deque[Future[Batch]] = deque()

    @property
    def position(self) -> int:
        """How many batches were handed out."""
        return self._position

    @position.setter
    def position(self, value: int) -> None:
        wait(self._coming)
        self._coming.clear()
        self._position = self._batches.position = value

    def __iter__(self) -> Iterator[Batch]:
        """Give itself."""
        return self

    def __next__(self) -> Batch:
        """Give the next batch, waiting for it if need be."""
        while len(self._coming) < self._depth:
            self._coming.append(self._thread.submit(next, self._batches))
        batch = self._coming.popleft().result()
        self._coming.append(self._thread.submit(next, self._batches))
        self._position += 1
        return batch


def eval_batches(source: Source, batch_size: int, rank: int, n_ranks: int) -> Iterator[Batch]:
    """Give a rank's part of a split in order, in batches of one shape.

    Each rank takes one contiguous part, so partial metrics merged in order of rank are in the
    data's order. The last batch is filled up with its first example; `weights` (float32, [B]) is 1
    for real examples and 0 for such padding. Weights of the source's own (of tokens or labels,
    [B, ...]) are kept, and are 0 for such padding. A `ShardedSource` gives shards, padded by it.
    """
    n_per_rank = -(-source.size // n_ranks)
    stop = min(source.size, n_per_rank * (rank + 1))
    if isinstance(source, ShardedSource):
        yield from shards_in_order(source, batch_size, n_per_rank * rank, stop)
        return
    for start in range(n_per_rank * rank, stop, batch_size):
        indices_B = np.arange(start, min(start + batch_size, stop))
        n_padding = batch_size - len(indices_B)
        weights_B = np.concatenate(
            [np.ones(len(indices_B), np.float32), np.zeros(n_padding, np.float32)]
        )
        indices_B = np.concatenate([indices_B, np.full(n_padding, start)])
        batch = source.read(indices_B, np.zeros(batch_size, np.uint64))
        own = batch.get("weights", np.ones(batch_size, np.float32))
        yield {**batch, "weights": own * weights_B.reshape(-1, *[1] * (own.ndim - 1))}


class ArraySource:
    """A split that lies in memory as arrays, without augmentation."""

    def __init__(self, **arrays: NDArray[Any]) -> None:
        self._arrays = arrays
        self.size = len(next(iter(arrays.values())))

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give the rows at `indices_B` of every array."""
        return {name: take_rows(array, indices_B) for name, array in self._arrays.items()}


def take_rows(array: NDArray[Any], indices_B: NDArray[np.int64]) -> NDArray[Any]:
    """Give the rows of `array` at `indices_B` (all below its length), as a new array.

    It is an `aligned_empty` one.
    """
    rows = aligned_empty((len(indices_B), *array.shape[1:]), array.dtype)
    # With the default mode "raise", numpy would go through a buffer of its own.
    return array.take(indices_B, axis=0, out=rows, mode="clip")


def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Give an array to be filled, which begins at a multiple of 64 bytes.

    What does not, jax copies once more on a CPU.
    """
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    buffer = np.empty(n_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT_BYTES
    return buffer[start : start + n_bytes].view(dtype).reshape(shape)


def fixed_subset(size: int, count: int) -> NDArray[np.int64]:
    """Give `count` indices below `size`: the one subset on which every trial measures `train`."""
    chosen = np.random.Generator(np.random.Philox(0)).permutation(size)[:count]
    return np.sort(chosen)
