"""A built-in that exists in torch and in jax makes the same steps in both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.submissions.steps import START, jax_steps, point_of, torch_steps

# Shampoo: two blocks of two rows each, roots every 4 steps, and all that may be left out.
SHAMPOO = {"largest_block": 2, "precondition_period": 4}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("adamw", {}),
    ("nesterov", {}),
    ("schedule_free_adamw", {}),
    ("nadamw_baseline", {}),
    ("distributed_shampoo", SHAMPOO),
    (
        "distributed_shampoo",
        {
            **SHAMPOO,
            "grafted": "sgd",
            "momentum": 0.5,
            "inverse_root": 2,
            "is_nesterov": False,
            "learning_rate": 0.1,
            "decay_factor": 0.5,
        },
    ),
]


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_twenty_steps_are_equal_in_torch_and_jax(name: str, changes: dict[str, Any]) -> None:
    hparams = point_of(name, **changes)
    in_torch, _ = torch_steps(name, hparams, 20)
    in_jax = jax_steps(name, hparams, 20)
    for ours, theirs in zip(in_torch, in_jax, strict=True):
        for parameter in START:
            np.testing.assert_allclose(ours[parameter], theirs[parameter], rtol=0, atol=1e-5)
    moved = [abs(in_torch[-1][parameter] - START[parameter]).max() for parameter in START]
    assert min(moved) > 1e-3  # or all would be equal to the start
