"""AdamG and Schedule-Free Prodigy, of libraries, make the steps of their papers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import prodigyopt
import pytest
import torch

from submissions.schedule_free_prodigy.schedule_free_prodigy_torch import (
    NO_MOMENTUM,
    ScheduleFreeProdigy,
)
from tests.submissions.steps import START, STEP_HINT, Arrays, gradients_at, point_of, torch_steps


def test_adamg_makes_the_papers_steps() -> None:
    path, _ = torch_steps("adamg", point_of("adamg", warmup_factor=0.01), 4, np.float64)
    theta = {n: v.astype(np.float64) for n, v in START.items()}
    m, v, r = ({n: np.zeros_like(x) for n, x in theta.items()} for _ in range(3))
    for t, after in enumerate(path, start=1):
        # W = 2 of 200 steps: η = ½, 1, 1, and then a cosine's second value.
        eta = [0.5, 1.0, 1.0, (1 + math.cos(math.pi / (STEP_HINT - 2))) / 2][t - 1]
        for name, g in gradients_at(dict(theta)).items():
            v[name] = 0.999 * v[name] + 0.001 * g**2
            r[name] = 0.95 * r[name] + 0.05 * 0.2 * v[name] ** 0.24
            m[name] = 0.95 * m[name] + 0.05 * r[name] * g
            m_hat, v_hat = m[name] / (1 - 0.95**t), v[name] / (1 - 0.999**t)
            theta[name] -= min(eta, 1 / math.sqrt(t)) * m_hat / (np.sqrt(v_hat) + 1e-8)
            np.testing.assert_allclose(after[name], theta[name], rtol=1e-6)


def slow_prodigy(n_steps: int, decay: float) -> tuple[list[Arrays], list[Arrays], list[float]]:
    """y after each step, x after each step, and d, written out over all parameters as one."""
    beta, beta2, d, r = 0.9, 0.999, 1e-6, 0.0
    start = flat(START)
    z, x, v, s = start.copy(), start.copy(), np.zeros_like(start), np.zeros_like(start)
    largest = total = 0.0
    ys, xs, ds = [], [], []
    for t in range(1, n_steps + 1):
        gamma = min(1.0, t / 4)  # W = 4 of 200 steps
        y = (1 - beta) * z + beta * x
        g = flat(gradients_at(unflat(y)))
        v = beta2 * v + (1 - beta2) * d * d * g * g
        weight = 1 - math.sqrt(beta2)
        r = math.sqrt(beta2) * r + weight * gamma * d * d * float(g @ (start - z))
        s = math.sqrt(beta2) * s + weight * gamma * d * d * g
        step_size = d
        d = max(d, r / float(np.abs(s).sum()))
        z = z - gamma * step_size * decay * z
        z = z - gamma * step_size * step_size * g / (np.sqrt(v) + d * 1e-8)
        largest = max(largest, gamma * d)
        total += largest**2
        c = largest**2 / total
        x = (1 - c) * x + c * z
        ys.append(unflat((1 - beta) * z + beta * x))
        xs.append(unflat(x))
        ds.append(d)
    return ys, xs, ds


def flat(values: Arrays) -> np.ndarray:
    return np.concatenate([values[n].astype(np.float64).ravel() for n in START])


def unflat(values: np.ndarray) -> Arrays:
    sizes = np.cumsum([v.size for v in START.values()])[:-1]
    parts = zip(START.items(), np.split(values, sizes), strict=True)
    return {n: part.reshape(v.shape) for (n, v), part in parts}


def test_schedule_free_prodigy_makes_the_papers_steps() -> None:
    hparams = point_of("schedule_free_prodigy", weight_decay=0.3)
    n_steps = 40
    path, optimizer = torch_steps("schedule_free_prodigy", hparams, n_steps, np.float64)
    ys, xs, ds = slow_prodigy(n_steps, 0.3)
    assert ds[-1] > 1e-3  # d has grown from 1e-6
    assert optimizer.param_groups[0]["d"] == pytest.approx(ds[-1], rel=1e-6)
    for ours, expected in zip(path, ys, strict=True):
        np.testing.assert_allclose(ours["weight"], expected["weight"], rtol=1e-6)
    optimizer.eval()
    parameters = optimizer.param_groups[0]["params"]
    held = {n: p.detach().numpy() for n, p in zip(START, parameters, strict=True)}
    np.testing.assert_allclose(held["weight"], xs[-1]["weight"], rtol=1e-6)
    assert abs(held["weight"] - START["weight"]).max() > 1e-2
    assert all(b >= a for a, b in pairwise(ds))


def test_schedule_free_prodigy_trains_a_single_number() -> None:
    parameter = torch.nn.Parameter(torch.tensor(1.0))
    prodigy = prodigyopt.Prodigy([parameter], betas=(NO_MOMENTUM, 0.999), d0=0.1)
    optimizer = ScheduleFreeProdigy(prodigy)
    optimizer.train()
    for _ in range(50):
        parameter.grad = 2 * parameter.detach()  # of the parameter's square
        optimizer.step()
    optimizer.eval()
    assert abs(parameter.item()) < 0.5
