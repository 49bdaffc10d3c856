"""Amos makes the steps of its paper's algorithm, one row at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pacebench.backends.base import Parameter
from pacebench.spec import ParameterKind
from submissions.amos.amos_torch import Amos, expected_size

RATE, BETA, MOMENTUM = 0.05, 0.9, 0.6
START = np.random.default_rng(3).normal(size=(2, 4))
GRADIENTS = np.random.default_rng(4).normal(size=(5, 2, 4))


def slow_row(row: int, scale: float) -> list[float]:
    """A weight's row after five steps; v and b are one number each."""
    theta, v, b = START[row].tolist(), 0.0, 0.0
    m = [0.0] * len(theta)
    for t, gradients in enumerate(GRADIENTS[:, row].tolist(), start=1):
        squares = sum(g * g for g in gradients) / len(gradients)
        v = BETA * v + (1 - BETA) * squares
        v_hat = v / (1 - BETA**t)
        c = 1 / math.sqrt(1 + math.sqrt(RATE) * b / 4)
        d = 1 / (1 + math.sqrt(RATE * scale) * b / 4)
        gamma = c * RATE**2 / v_hat * squares
        for i, g in enumerate(gradients):
            delta = d * (RATE * scale / math.sqrt(v_hat) * g + gamma * theta[i] / 2)
            m[i] = MOMENTUM * m[i] + (1 - MOMENTUM) * delta
            theta[i] -= m[i]
        b += gamma * (1 + b)
    return theta


def test_the_steps_are_the_papers() -> None:
    scale = 0.5
    parameter = torch.nn.Parameter(torch.from_numpy(START.copy()))
    optimizer = Amos(
        [{"params": [parameter], "scale": scale}], lr=RATE, beta=BETA, momentum=MOMENTUM
    )
    for gradient in GRADIENTS:
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    expected = [slow_row(row, scale) for row in range(2)]
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        (ParameterKind.WEIGHT, (8, 25), 0.2),
        (ParameterKind.CONV_WEIGHT, (8, 4, 5, 5), 0.1),
        (ParameterKind.EMBEDDING, (1000, 4), 0.5),
        (ParameterKind.BIAS, (8,), 0.5),
        (ParameterKind.LAYER_NORM_SCALE, (8,), 1.0),
    ],
)
def test_the_expected_size_follows_from_inputs_and_kind(
    kind: ParameterKind, shape: tuple[int, ...], size: float
) -> None:
    assert expected_size(Parameter(torch.zeros(shape), kind, False)) == pytest.approx(size)
