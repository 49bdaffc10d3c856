"""Gradients in parts are the whole batch's; what cannot be divided is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from pacebench.backends import gradients_jax, gradients_torch
from pacebench.errors import SubmissionError
from tests.contracts.table import CASES, Case
from tests.support import library_plan, open_trial

# A line y = w x through six points, of which the weights leave four, unevenly spread over parts:
# of the rows 0, 2, 4 three are valid, of 1, 3, 5 one, so a mean of the parts' means is wrong.
X = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], np.float32)
Y = np.array([2.0, 1.0, 4.0, 0.0, 3.0, 9.0], np.float32)
WEIGHTS = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.0], np.float32)
W = 0.5
# d/dw Σ weight (w x - y)² / Σ weight = Σ weight 2 x (w x - y) / 4, with w x - y of -1.5, -2.5, 2
# and -0.5 for the valid rows 0, 2, 3, 4: (-3 - 15 + 16 - 5) / 4.
GRADIENT = -1.75


def line(outputs: Any, batch: Any, label_smoothing: float = 0.0) -> Any:
    targets, weights = batch["pairs"]
    return SimpleNamespace(
        summed=(weights * (outputs - targets) ** 2).sum(), n_valid_examples=weights.sum()
    )


def gradient_in_torch(hparams: dict[str, Any], keep: slice = slice(None)) -> float:
    w = torch.nn.Parameter(torch.tensor(W))
    x, y, weights = (torch.from_numpy(a[keep]) for a in (X, Y, WEIGHTS))
    run: Any = SimpleNamespace(
        hparams=hparams,
        params={"w": w},
        forward=lambda batch, dropout_rate: w * batch["inputs"],
        loss=line,
        all_reduce=lambda tensor: tensor,
    )
    (gradient,) = gradients_torch.mean_gradients(run, {"inputs": x, "pairs": (y, weights)})
    assert gradient is w.grad
    return gradient.item()


def gradient_in_jax(hparams: dict[str, Any], keep: slice = slice(None)) -> float:
    def forward(params: Any, state: Any, batch: Any, key: Any, dropout_rate: Any) -> Any:
        return params["w"] * batch["inputs"], {"n_seen": state["n_seen"] + len(batch["inputs"])}

    run: Any = SimpleNamespace(hparams=hparams, forward=forward, loss=line)
    x, y, weights = (jnp.asarray(a[keep]) for a in (X, Y, WEIGHTS))
    params, state = {"w": jnp.float32(W)}, {"n_seen": jnp.int32(0)}
    batch = {"inputs": x, "pairs": (y, weights)}
    value, gradients, state = gradients_jax.mean_gradients(
        run, params, state, batch, jax.random.PRNGKey(0)
    )
    assert value == pytest.approx((1.5**2 + 2.5**2 + 2.0**2 + 0.5**2) / 4)
    assert state["n_seen"] == 6
    return float(gradients["w"])


IN = pytest.mark.parametrize("gradient", [gradient_in_torch, gradient_in_jax])


@IN
@pytest.mark.parametrize("hparams", [{}, *({"accumulation_steps": k} for k in (1, 2, 3, 6))])
def test_parts_give_the_gradient_of_the_mean_over_all_valid_examples(
    gradient: Callable[..., float], hparams: dict[str, Any]
) -> None:
    assert gradient(hparams) == pytest.approx(GRADIENT, rel=1e-6)


@IN
@pytest.mark.parametrize("steps", [0, -1, 2.0, "2", True])
def test_a_number_of_parts_that_is_no_positive_integer_is_refused(
    gradient: Callable[..., float], steps: Any
) -> None:
    with pytest.raises(SubmissionError, match="must be a positive integer"):
        gradient({"accumulation_steps": steps})


@IN
def test_a_batch_that_does_not_divide_into_the_parts_is_refused(
    gradient: Callable[..., float],
) -> None:
    with pytest.raises(SubmissionError, match="4, which does not divide the 6 rows"):
        gradient({"accumulation_steps": 4})


# Whole trials, one ragged; more of them would say the same again.
TRIED = [case for case in CASES if str(case) in ("ogbg_mini-torch", "digits-jax")]


@pytest.mark.parametrize("case", TRIED, ids=str)
def test_a_step_in_parts_is_the_whole_batchs(case: Case, tmp_path: Path) -> None:
    """At dropout 0, and no model here normalises over the batch."""
    addresses = {"torch": ("torch.optim:SGD", "lr"), "jax": ("optax:sgd", "learning_rate")}
    address, name = addresses[case.framework]

    def parameters_after_a_step(**hparams: Any) -> list[Any]:
        plan = dataclasses.replace(
            library_plan(case.framework),
            address=address,
            hyperparameters={name: 1.0, "schedule": "none", "dropout_rate": 0.0, **hparams},
            workload=case.workload.name,
            batch_size=case.batch_size,
            eval_batch_size=case.eval_batch_size,
            data_dir=case.data_dir(tmp_path),
            allow_partial_data=True,
        )
        backend: Any = open_trial(plan, tmp_path / "t", workload=case.workload).backend
        backend.step(1)
        return [a for a in jax.tree.leaves(backend.save_state()) if isinstance(a, np.ndarray)]

    whole, parts = parameters_after_a_step(), parameters_after_a_step(accumulation_steps=4)
    assert len(whole) > 5
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
