"""LAWA evaluates an average of its snapshots, and goes on training as if it had not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pacebench.backends.state_torch import restored, tree_of
from pacebench.optimizers.averaged_torch import AveragedNadamW
from submissions.lawa_ema.lawa_ema_torch import moving_average
from submissions.lawa_queue.lawa_queue_torch import queue
from tests.submissions.steps import point_of, torch_steps

GRADIENTS = [1.0, -0.5, 2.0, 0.3, -1.0, 0.7, 0.2]


def trained(snapshots: Any, evaluated_after: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """The trained parameter after each step, and what is evaluated after some of them."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = AveragedNadamW([parameter], snapshots, lr=0.1, betas=(0.5, 0.9), weight_decay=0.0)
    path, evaluated = [], []
    for step, gradient in enumerate(GRADIENTS, start=1):
        optimizer.train()
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        path.append(parameter.item())
        if step in evaluated_after:
            optimizer.eval()
            optimizer.eval()  # twice is once
            evaluated.append(parameter.item())
    return path, evaluated


def test_the_queue_holds_the_last_k_snapshots() -> None:
    # Snapshots after steps 2, 4 and 6; two are kept.
    path, evaluated = trained(queue(k=2, start=2, interval=2), (1, 3, 5, 6, 7))
    expected = [path[0], path[1], (path[1] + path[3]) / 2, *[(path[3] + path[5]) / 2] * 2]
    assert evaluated == pytest.approx(expected, rel=1e-6)


def test_the_moving_average_starts_with_the_first_snapshot() -> None:
    path, evaluated = trained(moving_average(beta=0.2, start=3, interval=2), (2, 3, 5, 7))
    second = 0.2 * path[2] + 0.8 * path[4]
    expected = [path[1], path[2], second, 0.2 * second + 0.8 * path[6]]
    assert evaluated == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("snapshots", [queue(2, 2, 2), moving_average(0.2, 2, 1)])
def test_evaluations_do_not_change_the_training(snapshots: Any) -> None:
    assert trained(snapshots, ())[0] == trained(snapshots, (2, 3, 4, 6))[0]


@pytest.mark.parametrize("is_evaluated", [True, False])
@pytest.mark.parametrize("snapshots", [queue(2, 2, 2), moving_average(0.2, 2, 2)])
def test_a_saved_optimizer_goes_on_with_its_snapshots(snapshots: Any, is_evaluated: bool) -> None:
    def go_on(parameter: torch.nn.Parameter, optimizer: AveragedNadamW, steps: slice) -> None:
        for gradient in GRADIENTS[steps]:
            optimizer.train()
            parameter.grad = torch.tensor([gradient])
            optimizer.step()

    def opened(start: float) -> tuple[torch.nn.Parameter, AveragedNadamW]:
        parameter = torch.nn.Parameter(torch.tensor([start]))
        hyperparameters = {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.0}
        return parameter, AveragedNadamW([parameter], snapshots, **hyperparameters)

    first = opened(0.0)
    go_on(*first, slice(0, 5))
    if is_evaluated:
        first[1].eval()
    second = opened(first[0].item())
    restored(second[1], tree_of(first[1], "optimizer"))
    for pair in (first, second):
        go_on(*pair, slice(5, 7))
        pair[1].eval()
    assert second[0].item() == first[0].item()
    assert second[1].state[second[0]]["trained"] == first[1].state[first[0]]["trained"]


@pytest.mark.parametrize("name", ["lawa_queue", "lawa_ema"])
def test_lawa_trains_as_the_baseline_does(name: str) -> None:
    theirs, optimizer = torch_steps(name, point_of(name), 8)
    baseline, _ = torch_steps("nadamw_baseline", point_of("nadamw_baseline"), 8)
    for ours, expected in zip(theirs, baseline, strict=True):
        np.testing.assert_array_equal(ours["weight"], expected["weight"])
    # Of 200 steps: from step 4 on, every 0 (at least 1) or every 1.
    assert optimizer.param_groups[0]["n_snapshots"] == 5
