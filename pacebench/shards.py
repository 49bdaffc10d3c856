"""Batches of examples that differ in size, as graphs, in arrays of one shape.

A batch is a fixed number of shards, which are the leading axis of its arrays; devices divide them
among themselves. A shard has room for its share of the batch size in examples and, for each of
their units (nodes, edges), for so many an example. Examples are put into a shard in order until the
next would exceed a limit; so a batch holds at most `batch_size` examples, and how many follows from
the order alone. Source: jraph's `dynamically_batch`, as AlgoPerf v0.6 (ogbg) calls it.

Letters: N examples, B those of a batch, K kinds of units, S shards of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PlanError
from pacebench.spec import Batch

N_SHARDS = 8
"""Ours: the devices with which AlgoPerf's targets were set; 1, 2, 4 and 8 can share them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What one shard holds."""

    n_examples: int
    units: tuple[int, ...]
    """Of each kind."""


class ShardedSource:
    """A split whose examples differ in size.

    `read_shards(indices_B, counts_S, room)` gives a batch: the first `counts_S[0]` examples in the
    first shard, and so on; its shapes depend on `room` and the number of shards alone, and weights
    are 0 where there is padding.
    """

    def __init__(
        self,
        *,
        units_NK: NDArray[np.int64],
        units_per_example: tuple[int, ...],
        read_shards: Callable[[NDArray[np.int64], NDArray[np.int64], Room], Batch],
    ) -> None:
        self.size = len(units_NK)
        self.units_NK = units_NK
        self.units_per_example = units_per_example
        self.read_shards = read_shards

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give the examples in one shard that just holds them."""
        units = tuple(self.units_NK[indices_B].sum(axis=0).tolist())
        room = Room(n_examples=len(indices_B), units=units)
        return self.read_shards(indices_B, np.array([len(indices_B)]), room)

    def train_room(self, batch_size: int) -> Room:
        """Give what a shard of a training batch holds.

        Raises PlanError if the batch size does not divide, or if an example is too large.
        """
        n_examples, rest = divmod(batch_size, N_SHARDS)
        if rest or n_examples == 0:
            raise PlanError(
                f"a batch of {batch_size} does not divide into {N_SHARDS} shards; choose a batch "
                f"size of {N_SHARDS}, {2 * N_SHARDS}, {3 * N_SHARDS}, …"
            )
        units = tuple(n * n_examples for n in self.units_per_example)
        largest = self.units_NK.max(axis=0)
        if (largest > units).any():
            fits = max(-(-n // per) for n, per in zip(largest, self.units_per_example, strict=True))
            raise PlanError(
                f"with a batch of {batch_size}, a shard has room for {units} units, and the "
                f"largest example has {tuple(largest.tolist())}; choose a batch size of "
                f"{fits * N_SHARDS} or more"
            )
        return Room(n_examples=n_examples, units=units)

    def eval_room(self, batch_size: int) -> Room:
        """Give what a shard holds in evaluation: no more than a small split needs, and at least
        the largest example."""
        n_examples = max(1, min(batch_size, self.size + N_SHARDS - 1) // N_SHARDS)
        largest = self.units_NK.max(axis=0).tolist()
        units = (n * n_examples for n in self.units_per_example)
        return Room(n_examples=n_examples, units=tuple(map(max, units, largest)))


def cut(units_NK: NDArray[np.int64], room: Room, n_firsts: int | None = None) -> list[int]:
    """Give where the shards of some examples begin, and where the last of them ends.

    Every example must fit. With `n_firsts`, shards begin below this number only.
    """
    n = len(units_NK)
    ends_N = np.minimum(np.arange(n) + room.n_examples, n)
    for units_N, limit in zip(units_NK.T, room.units, strict=True):
        totals = np.concatenate([[0], np.cumsum(units_N)])
        fitting_N = np.searchsorted(totals, totals[:-1] + limit, side="right") - 1
        ends_N = np.minimum(ends_N, fitting_N)
    ends = ends_N.tolist()
    firsts = [0]
    while firsts[-1] < (n if n_firsts is None else n_firsts):
        firsts.append(ends[firsts[-1]])
    return firsts


class ShardStarts:
    """Where the shards of an endless stream of examples begin, epoch after epoch.

    Places count examples from the stream's beginning. A shard may hold examples of two epochs (or
    more, where the split is small).
    """

    def __init__(
        self, source: ShardedSource, room: Room, order: Callable[[int], NDArray[np.int64]]
    ) -> None:
        self._source = source
        self._room = room
        self._order = order
        self._n_epochs = 0
        self._firsts = [0]

    def between(self, start: int, stop: int) -> NDArray[np.int64]:
        """Give the places of the shards `start` to `stop`, the last one included."""
        while len(self._firsts) <= stop:
            self._add_epoch()
        return np.array(self._firsts[start : stop + 1])

    def _add_epoch(self) -> None:
        """Cut the epoch that comes next, from where the last shard ended."""
        size, epoch = self._source.size, self._n_epochs
        self._n_epochs += 1
        first = self._firsts[-1]
        n_left = size * (epoch + 1) - first
        if n_left <= 0:  # the last shard swallowed the epoch
            return
        indices = self._order(epoch)[size - n_left :]
        while len(indices) < n_left + self._room.n_examples:
            epoch += 1
            indices = np.concatenate([indices, self._order(epoch)])
        indices = indices[: n_left + self._room.n_examples]
        cuts = cut(self._source.units_NK[indices], self._room, n_left)
        self._firsts += [first + place for place in cuts[1:]]


def shards_in_order(
    source: ShardedSource, batch_size: int, start: int, stop: int
) -> Iterator[Batch]:
    """Give the examples from `start` to before `stop`, in order, in batches of one shape."""
    if start >= stop:
        return
    room = source.eval_room(batch_size)
    firsts = np.array(cut(source.units_NK[start:stop], room)) + start
    n_missing = -(len(firsts) - 1) % N_SHARDS
    firsts = np.concatenate([firsts, np.full(n_missing, stop)])
    for i in range(0, len(firsts) - 1, N_SHARDS):
        part = firsts[i : i + N_SHARDS + 1]
        yield source.read_shards(np.arange(part[0], part[-1]), np.diff(part), room)


def shards_of_rank(rank: int, n_ranks: int) -> slice:
    """Give the shards of a batch that a rank takes; raises PlanError if they cannot be shared."""
    if N_SHARDS % n_ranks:
        raise PlanError(
            f"the {N_SHARDS} shards of a batch do not divide over {n_ranks} devices; choose "
            "--devices 1, 2, 4 or 8"
        )
    n_per_rank = N_SHARDS // n_ranks
    return slice(n_per_rank * rank, n_per_rank * (rank + 1))
