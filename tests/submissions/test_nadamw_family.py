"""NadamW, NadamP and Generalized Adam make the steps of their formula, cyclic_lr its cycles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pacebench.optimizers.nadamw_torch import NadamW
from submissions.cyclic_lr.cyclic_lr_torch import cycles
from tests.submissions.steps import START, point_of, torch_steps

RATE, BETA1, BETA2, DECAY = 0.1, 0.8, 0.9, 0.3
GRADIENTS = [0.5, -2.0, 1e-3, 3.0]


def by_the_formula(power: float) -> list[float]:
    """The parameter after each step from 1, one number at a time."""
    theta, m, v, path = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        u = (BETA1 * m + (1 - BETA1) * g) / (1 - BETA1**t)
        denominator = (v / (1 - BETA2**t)) ** (1 / power) + 1e-8
        theta -= RATE * (u / denominator + DECAY * theta)
        path.append(theta)
    return path


def by_the_optimizer(power: float) -> list[float]:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = NadamW([parameter], lr=RATE, betas=(BETA1, BETA2), weight_decay=DECAY, power=power)
    path = []
    for g in GRADIENTS:
        parameter.grad = torch.tensor([g])
        optimizer.step()
        path.append(parameter.item())
    return path


@pytest.mark.parametrize("power", [2.0, 1.5, math.inf])
def test_the_steps_are_the_formulas_for_every_root(power: float) -> None:
    assert by_the_optimizer(power) == pytest.approx(by_the_formula(power), rel=1e-5)


def test_the_first_step_of_nadamw_is_one_and_beta1_rates_long() -> None:
    # u = (β1 (1 - β1) + (1 - β1)) g / (1 - β1) = (1 + β1) g, and √v̂ = |g|.
    assert by_the_optimizer(2.0)[0] == pytest.approx(1 - 0.1 * (1.8 + 0.3 * 1.0), rel=1e-6)


@pytest.mark.parametrize(("is_preconditioned", "first"), [(True, 1.0), (False, None)])
def test_generalized_adam_divides_by_the_gradients_size_only_if_told_to(
    is_preconditioned: bool, first: float | None
) -> None:
    hparams = point_of(
        "generalized_adam",
        is_preconditioned=is_preconditioned,
        learning_rate=1.0,
        beta1=0.5,
        weight_decay=0.0,
        warmup_factor=0.01,
    )
    path, _ = torch_steps("generalized_adam", hparams, 1)
    from tests.submissions.steps import gradients_at

    for name, gradient in gradients_at(START).items():
        # The first of W = 2 steps of warmup has the rate ½; u = (1 + β1) g = 1.5 g.
        expected = 0.75 * (np.sign(gradient) if is_preconditioned else gradient)
        np.testing.assert_allclose(START[name] - path[0][name], expected, rtol=1e-4, atol=1e-6)


def test_nadamp_hands_its_power_on() -> None:
    paths = [torch_steps("nadamp", point_of("nadamp", power=p), 3)[0][-1] for p in (2.0, 1.5)]
    assert not np.allclose(paths[0]["weight"], paths[1]["weight"], atol=1e-5)


def test_the_cycles_of_cyclic_lr_are_equally_long_and_end_at_zero() -> None:
    # N = 10, W = 2: two cycles of 4 steps each, at the shares 0, ¼, ½, ¾.
    quarter, three_quarters = (1 + math.sqrt(0.5)) / 2, (1 - math.sqrt(0.5)) / 2
    cycle = [1.0, quarter, 0.5, three_quarters]
    assert cycles(10, 0.2, 2) == pytest.approx([0.5, 1.0, *cycle, *cycle, 0.0], abs=1e-6)
