"""Torch and flax: the same outputs, losses, gradients and averages from the same weights."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.spec import Mode
from tests.workloads.both import (
    EVAL,
    TRAIN,
    Arrays,
    call_flax,
    call_torch,
    random_state,
    small_case,
)

NAMES = ("digits", "mnist", "cifar")
# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
MODES = [
    Mode(train=True, normalize_with=statistics, update_running=is_updating)
    for statistics, is_updating in product(("batch", "running"), (True, False))
]


def assert_close(left: NDArray[np.float32], right: NDArray[np.float32], what: str) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= TOLERANCE * np.abs(left).max(), what


def assert_all_close(left: Arrays, right: Arrays) -> None:
    """Check arrays by name."""
    assert set(left) == set(right)
    for name in left:
        assert_close(left[name], right[name], name)


@pytest.mark.parametrize("mode", [TRAIN, EVAL], ids=["train", "eval"])
@pytest.mark.parametrize("name", NAMES)
def test_the_models_agree_on_carried_weights(name: str, mode: Mode) -> None:
    case = small_case(name)
    state = random_state(case)
    torch_outcome, flax_outcome = call_torch(case, state, mode), call_flax(case, state, mode)
    assert torch_outcome.logits.shape == (7, 10)
    assert_close(torch_outcome.logits, flax_outcome.logits, "logits")
    assert torch_outcome.loss == pytest.approx(flax_outcome.loss, rel=TOLERANCE)
    assert_all_close(torch_outcome.gradients, flax_outcome.gradients)
    assert_all_close(torch_outcome.buffers, flax_outcome.buffers)
    assert all(np.abs(gradient).max() > 0 for gradient in torch_outcome.gradients.values())


@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m.normalize_with}-{m.update_running}")
def test_the_models_agree_for_every_use_of_the_running_averages(mode: Mode) -> None:
    case = small_case("cifar")
    state = random_state(case)
    torch_outcome, flax_outcome = call_torch(case, state, mode), call_flax(case, state, mode)
    assert_close(torch_outcome.logits, flax_outcome.logits, "logits")
    assert_all_close(torch_outcome.gradients, flax_outcome.gradients)
    assert_all_close(torch_outcome.buffers, flax_outcome.buffers)
    for name, buffer in torch_outcome.buffers.items():
        is_same = np.array_equal(buffer, state[name])
        assert is_same is not mode.update_running, name
        if not mode.update_running:
            assert np.array_equal(flax_outcome.buffers[name], state[name]), name


def test_batch_and_running_statistics_give_different_outputs() -> None:
    case = small_case("cifar")
    state = random_state(case)
    train, evaluation = call_torch(case, state, TRAIN), call_torch(case, state, EVAL)
    assert np.abs(train.logits - evaluation.logits).max() > 0.01
