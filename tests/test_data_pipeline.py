"""Batches are the same whoever makes them: read ahead, on several ranks, resumed, or mixed."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.data import ArraySource, ReadAhead, TrainBatches, eval_batches
from pacebench.seeds import Seed, uniform
from pacebench.spec import Batch


class Drawing:
    """Examples that tell their index and a number drawn from their seed."""

    size = 10

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give index and draw."""
        return {"index": indices_B.copy(), "drawn": uniform(seeds_B, 0)}


def swap(rows: Batch, seed: int) -> Batch:
    """Add to every row the one before it, and the seed of the global batch."""
    return {"sum": rows["drawn"][1:] + rows["drawn"][:-1], "seed": np.full(1, seed)}


def batches(rank: int = 0, n_ranks: int = 1, *, is_mixed: bool = False) -> TrainBatches:
    mix = swap if is_mixed else None
    return TrainBatches(Drawing(), seed=Seed(3), batch_size=4, rank=rank, n_ranks=n_ranks, mix=mix)


def same(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_reading_ahead_changes_no_batch_and_counts_those_handed_out() -> None:
    plain, ahead = batches(), ReadAhead(batches(), depth=3)
    for step in range(12):  # through more than four epochs of ten examples
        assert ahead.position == step
        assert same(next(plain), next(ahead))


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_a_position_taken_up_again_gives_the_batches_that_would_have_come(stop: int) -> None:
    plain, ahead = batches(), ReadAhead(batches())
    wanted = [next(plain) for _ in range(8)]
    for _ in range(stop):
        next(ahead)
    resumed = ReadAhead(batches())
    next(resumed)  # something was read ahead already
    resumed.position = ahead.position
    assert all(same(batch, next(resumed)) for batch in wanted[stop:])


def test_mixing_acts_on_the_global_batch_whatever_the_number_of_ranks() -> None:
    one = batches(is_mixed=True)
    two = [batches(rank, 2, is_mixed=True) for rank in range(2)]
    plain = batches()
    for _ in range(6):
        whole, parts, rows = next(one), [next(b) for b in two], next(plain)
        assert np.array_equal(whole["sum"], np.concatenate([p["sum"] for p in parts]))
        assert np.array_equal(whole["sum"], rows["drawn"] + np.roll(rows["drawn"], 1))
        assert {int(p["seed"][0]) for p in parts} == {int(whole["seed"][0])}


def test_every_global_batch_is_mixed_with_a_seed_of_its_own() -> None:
    mixed = batches(is_mixed=True)
    assert len({int(next(mixed)["seed"][0]) for _ in range(20)}) == 20


def test_an_error_while_reading_ahead_reaches_the_one_who_takes_the_batch() -> None:
    class Broken(Drawing):
        def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
            raise OSError("a file is gone")

    ahead = ReadAhead(TrainBatches(Broken(), seed=Seed(0), batch_size=2))
    with pytest.raises(OSError, match="a file is gone"):
        next(ahead)


def test_weights_of_a_source_are_kept_and_are_zero_for_padding() -> None:
    tokens = np.arange(6).reshape(3, 2)
    weights = np.array([[1, 1], [1, 0], [0.5, 0]], np.float32)
    source = ArraySource(inputs=tokens, weights=weights)
    first, second = eval_batches(source, 2, rank=0, n_ranks=1)
    assert np.array_equal(first["weights"], weights[:2])
    assert np.array_equal(second["weights"], [[0.5, 0], [0, 0]])
    assert np.array_equal(second["inputs"], [[4, 5], [4, 5]])


def test_an_example_draws_anew_in_every_epoch_unless_its_draws_are_fixed() -> None:
    class Seeds:
        size = 3

        def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
            return {"index": indices_B, "seed": seeds_B}

    for is_fixed in (False, True):
        batches = TrainBatches(Seeds(), seed=Seed(0), batch_size=3, has_fixed_draws=is_fixed)
        epochs = [dict(zip(*(b[k].tolist() for k in b), strict=True)) for b in islice(batches, 2)]
        assert len(set(epochs[0].values())) == 3
        assert (epochs[0] == epochs[1]) is is_fixed


def test_a_workload_may_give_the_order_of_an_epoch_of_which_slices_are_asked_for() -> None:
    class Turned:
        """Ten examples from a place that the seed chooses, round about; as long as never held."""

        def __init__(self, start: int) -> None:
            self.start = start

        def __getitem__(self, places: slice) -> NDArray[np.int64]:
            assert places.stop - places.start <= 4
            return (np.arange(places.start, min(places.stop, 10)) + self.start) % 10

    starts: list[int] = []

    def turned(source: object, seed: int) -> Turned:
        assert isinstance(source, Drawing)
        starts.append(seed % 10)
        return Turned(starts[-1])

    ordered = TrainBatches(Drawing(), seed=Seed(3), batch_size=4, epoch_order=turned)
    seen = np.concatenate([next(ordered)["index"] for _ in range(5)])
    for epoch in range(2):
        wanted = (np.arange(10) + starts[epoch]) % 10
        assert np.array_equal(seen[10 * epoch : 10 * epoch + 10], wanted)
    parts = [
        TrainBatches(
            Drawing(), seed=Seed(3), batch_size=4, rank=rank, n_ranks=2, epoch_order=turned
        )
        for rank in range(2)
    ]
    again = np.concatenate([next(part)["index"] for _ in range(5) for part in parts])
    assert np.array_equal(again, seen)
