"""Schedules: hand-worked factors, and the same learning rates in both frameworks."""

from __future__ import annotations

import math

import numpy as np
import optax
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pacebench import schedules
from pacebench.errors import UnknownNameError

HAND_WORKED = {
    # 10 steps, 2 of warmup: then shares 0, 1/8, … 1 at steps 2 to 10.
    "constant": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "linear": [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0],
    "cosine": [0.5, 1, *(0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(9))],
    # 1 until the last fifth; at shares 7/8 and 1 it is (1/8) / (1/5) and 0.
    "wsd": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.625, 0],
    # Cycles of two steps: 1 at their ends, 1/4 in their middles.
    "cyclic": [0.5, 1, 1, 0.25, 1, 0.25, 1, 0.25, 1, 0.25, 1],
    "growing": [0.5, 1, *(10 ** (i / 8) for i in range(9))],
}


@pytest.mark.parametrize("name", HAND_WORKED)
def test_factors_are_those_worked_by_hand(name: str) -> None:
    factors = schedules.table(name, 10, warmup_factor=0.2)
    np.testing.assert_allclose(factors, HAND_WORKED[name], rtol=1e-6, atol=1e-7)


def test_every_schedule_is_worked_by_hand() -> None:
    assert set(HAND_WORKED) == {*schedules.NAMES} - {schedules.NONE}


@given(
    st.sampled_from(schedules.NAMES), st.integers(1, 400), st.floats(0, 1), st.integers(0, 10**6)
)
def test_factors_are_finite_and_the_last_one_stays(
    name: str, n_steps: int, warmup: float, step: int
) -> None:
    factors = schedules.table(name, n_steps, warmup)
    assert np.isfinite(factors).all()
    assert (factors >= 0).all()
    assert schedules.at(factors, step) == factors[min(step, len(factors) - 1)]


def test_an_unknown_schedule_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cosine'"):
        schedules.table("cosin", 10)


def test_torch_and_optax_follow_the_same_factors() -> None:
    import jax.numpy as jnp

    factors = schedules.table("wsd", 10, 0.2)
    weight = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: schedules.at(factors, s))
    transformation = optax.sgd(lambda count: 0.5 * jnp.asarray(factors)[count])
    state, value = transformation.init(jnp.zeros(())), jnp.zeros(())
    for _ in range(14):  # four beyond the end
        weight.grad = torch.ones(())
        optimizer.step()
        scheduler.step()
        updates, state = transformation.update(jnp.ones(()), state)
        value = value + updates
        assert weight.item() == pytest.approx(float(value), rel=1e-6)
