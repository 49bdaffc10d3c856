"""Shards hold as many examples as fit, each once in an epoch, whoever reads them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.data import TrainBatches, eval_batches
from pacebench.errors import PlanError
from pacebench.seeds import Seed
from pacebench.shards import N_SHARDS, Room, ShardedSource
from pacebench.spec import Batch

PER_EXAMPLE = (6, 11)


def source_of(size: int) -> ShardedSource:
    """Give examples with random numbers of two kinds of units, whose batches list the examples."""
    units_NK = np.random.default_rng(size).integers([1, 0], [12, 23], (size, 2))

    def read_shards(indices_B: NDArray[np.int64], counts_S: NDArray[np.int64], room: Room) -> Batch:
        batch = np.full((len(counts_S), room.n_examples), -1)
        for shard, part in zip(batch, np.split(indices_B, np.cumsum(counts_S)[:-1]), strict=True):
            assert (units_NK[part].sum(axis=0) <= room.units).all()
            shard[: len(part)] = part
        return {"index": batch}

    return ShardedSource(units_NK=units_NK, units_per_example=PER_EXAMPLE, read_shards=read_shards)


def batches(size: int, batch_size: int, rank: int = 0, n_ranks: int = 1) -> TrainBatches:
    """Give the training batches of a rank."""
    return TrainBatches(
        source_of(size), seed=Seed(5), batch_size=batch_size, rank=rank, n_ranks=n_ranks
    )


def greedy(indices: Iterator[int], units_NK: NDArray[np.int64], room: Room) -> Iterator[list[int]]:
    """Fill shards one example at a time."""
    shard: list[int] = []
    for index in indices:
        trial = [*shard, index]
        sums = units_NK[trial].sum(axis=0)
        if len(trial) > room.n_examples or (sums > room.units).any():
            yield shard
            trial = [index]
        shard = trial


def order_of(size: int, seed: Seed) -> Iterator[int]:
    """Give the stream of all epochs, as every source has it."""
    epoch = 0
    while True:
        yield from seed.child("order", epoch).generator().permutation(size).tolist()
        epoch += 1


@pytest.mark.parametrize(("size", "batch_size"), [(100, 32), (7, 16), (5, 96), (300, 40)])
def test_examples_fill_shards_in_order_until_the_next_would_not_fit(
    size: int, batch_size: int
) -> None:
    room = Room(
        n_examples=batch_size // N_SHARDS, units=tuple(n * batch_size // 8 for n in PER_EXAMPLE)
    )
    wanted = greedy(order_of(size, Seed(5)), source_of(size).units_NK, room)
    for batch in islice(batches(size, batch_size), 30):
        for shard in batch["index"]:
            assert shard[shard >= 0].tolist() == next(wanted)


def test_ranks_share_the_shards_of_the_same_batches() -> None:
    whole = batches(100, 32)
    parts = [batches(100, 32, rank, 4) for rank in range(4)]
    for _ in range(20):
        shared = np.concatenate([next(part)["index"] for part in parts])
        assert np.array_equal(shared, next(whole)["index"])


def test_a_position_taken_up_again_gives_the_batches_that_would_have_come() -> None:
    plain, resumed = batches(100, 32), batches(100, 32)
    wanted = [next(plain)["index"] for _ in range(60)]
    for position in (59, 3, 31):
        resumed.position = position
        assert np.array_equal(next(resumed)["index"], wanted[position])


@pytest.mark.parametrize("batch_size", [1, 8, 64, 5000])
@pytest.mark.parametrize("n_ranks", [1, 3, 8])
def test_evaluation_gives_every_example_once_and_in_order(batch_size: int, n_ranks: int) -> None:
    seen, shapes = [], set()
    for rank in range(n_ranks):
        for batch in eval_batches(source_of(101), batch_size, rank, n_ranks):
            shapes.add(batch["index"].shape)
            seen.append(batch["index"][batch["index"] >= 0])
    assert np.concatenate(seen).tolist() == list(range(101))
    assert len(shapes) == 1


def test_what_cannot_be_put_into_shards_says_what_to_do() -> None:
    with pytest.raises(PlanError, match="a batch of 20 does not divide into 8 shards"):
        batches(100, 20)
    with pytest.raises(PlanError, match="a batch of 0 does not divide"):
        batches(100, 0)
    # The largest has 11 and 22 units; an example's share is 6 and 11: two examples a shard.
    with pytest.raises(PlanError, match="choose a batch size of 16 or more"):
        batches(100, 8)
    with pytest.raises(PlanError, match="8 shards of a batch do not divide over 3 devices"):
        batches(100, 96, 0, 3)
