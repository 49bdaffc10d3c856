"""Mixup: ranks give the rows of the one global result, and the weight is Beta(0.2, 0.2)."""

from __future__ import annotations

import numpy as np
import pytest

from pacebench.data import ArraySource, TrainBatches
from pacebench.seeds import Seed
from workloads.imagenet.mixup import mixup, mixup_weight


def rows_of(inputs, targets, start, stop):
    """The contract's rows: the one before the slice, around the end, then the slice."""
    which = np.arange(start - 1, stop) % len(inputs)
    return {"inputs": inputs[which], "targets": targets[which]}


@pytest.fixture
def batch():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(8, 5, 5, 3)).astype(np.float32)
    return inputs, generator.integers(0, 1000, 8)


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
def test_ranks_give_the_rows_of_the_global_batch(batch, n_ranks):
    inputs, targets = batch
    size, weight = 8 // n_ranks, mixup_weight(5)
    rest = np.float32(1) - weight
    one_hot = np.eye(1000, dtype=np.float32)[targets]
    parts = [mixup(rows_of(*batch, r * size, (r + 1) * size), 5) for r in range(n_ranks)]
    wanted = weight * inputs + rest * np.roll(inputs, 1, axis=0)
    np.testing.assert_array_equal(np.concatenate([p["inputs"] for p in parts]), wanted)
    wanted = weight * one_hot + rest * np.roll(one_hot, 1, axis=0)
    np.testing.assert_array_equal(np.concatenate([p["targets"] for p in parts]), wanted)
    assert parts[0]["inputs"].dtype == parts[0]["targets"].dtype == np.float32


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_ranks_of_the_pipeline_give_the_global_batch(batch, n_ranks):
    source = ArraySource(inputs=batch[0], targets=batch[1])

    def batches(rank, n_ranks):
        return TrainBatches(
            source, seed=Seed(1), batch_size=4, rank=rank, n_ranks=n_ranks, mix=mixup
        )

    whole, parts = batches(0, 1), [batches(rank, n_ranks) for rank in range(n_ranks)]
    for _ in range(5):
        wanted, got = next(whole), [next(part) for part in parts]
        for name in ("inputs", "targets"):
            np.testing.assert_array_equal(np.concatenate([g[name] for g in got]), wanted[name])


def test_targets_are_shares_of_two_classes():
    rows = {"inputs": np.zeros((3, 1), np.float32), "targets": np.array([3, 999, 999])}
    weight = float(mixup_weight(2))
    targets = mixup(rows, 2)["targets"]
    assert targets.shape == (2, 1000)
    assert targets[0, 999] == pytest.approx(weight) and targets[0, 3] == pytest.approx(1 - weight)
    assert targets[1, 999] == pytest.approx(1)
    assert targets.sum() == pytest.approx(2)


def test_a_batch_of_one_row_is_mixed_with_itself():
    rows = {"inputs": np.full((2, 3), 5, np.float32), "targets": np.array([1, 1])}
    mixed = mixup(rows, 0)
    np.testing.assert_allclose(mixed["inputs"], [[5, 5, 5]], rtol=1e-6)


def test_a_seed_gives_one_weight():
    assert mixup_weight(7) == mixup_weight(7)
    assert mixup_weight(7) != mixup_weight(8)
    assert 0 <= mixup_weight(0) <= 1


def test_weights_have_the_moments_of_beta():
    weights = np.array([float(mixup_weight(seed)) for seed in range(4000)])
    assert weights.min() >= 0 and weights.max() <= 1
    # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)) = 0.1786, so 4000 draws leave 0.0067 on the
    # mean; w (1 - w) has mean a / (2 (2a + 1)) = 1/14, and 0.09 as a deviation.
    assert abs(weights.mean() - 0.5) < 5 * 0.0067
    assert abs((weights * (1 - weights)).mean() - 1 / 14) < 5 * 0.09 / 4000**0.5
