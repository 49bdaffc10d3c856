"""The five losses called in both frameworks with numpy arrays, and their formulas in float64."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
import torch
from hypothesis import settings

from pacebench.spec import Loss, LossValue

FRAMEWORKS = ("torch", "jax")
each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
each_loss = pytest.mark.parametrize("loss", list(Loss))
# Few examples, the same ones each time: jax compiles anew for every shape.
random_cases = settings(max_examples=20, deadline=None, derandomize=True)


def map_arrays(function: Any, value: Any) -> Any:
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)


def compute(
    framework: str,
    loss: Loss,
    targets: Any,
    outputs: Any,
    mask: Any = None,
    *,
    smoothing: float = 0.0,
) -> tuple[LossValue, np.ndarray]:
    """The loss in numpy arrays, and the gradient of its sum with respect to the outputs."""
    compute_in = {"torch": compute_in_torch, "jax": compute_in_jax}[framework]
    value, gradient = compute_in(loss, targets, outputs, mask, smoothing)
    numbers = LossValue(
        summed=np.asarray(value.summed),
        n_valid_examples=np.asarray(value.n_valid_examples),
        per_example=np.asarray(value.per_example),
    )
    assert {x.dtype for x in (numbers.summed, numbers.n_valid_examples, numbers.per_example)} == {
        np.dtype(np.float32)
    }
    assert numbers.summed.shape == numbers.n_valid_examples.shape == ()
    return numbers, np.asarray(gradient)


def compute_in_torch(
    loss: Loss, targets: Any, outputs: Any, mask: Any, smoothing: float
) -> tuple[LossValue, Any]:
    from pacebench.backends.losses_torch import compute_loss

    outputs = map_arrays(torch.from_numpy, outputs)
    values = outputs[0] if isinstance(outputs, tuple) else outputs
    values.requires_grad_()
    mask = None if mask is None else torch.from_numpy(mask)
    found = compute_loss(loss, map_arrays(torch.from_numpy, targets), outputs, mask, smoothing)
    (gradient,) = torch.autograd.grad(found.summed, values)
    return (
        LossValue(
            summed=found.summed.detach(),
            n_valid_examples=found.n_valid_examples.detach(),
            per_example=found.per_example.detach(),
        ),
        gradient,
    )


def compute_in_jax(
    loss: Loss, targets: Any, outputs: Any, mask: Any, smoothing: float
) -> tuple[LossValue, Any]:
    values, frame_paddings = outputs if isinstance(outputs, tuple) else (outputs, None)
    (summed, (n_valid, per_example)), gradient = jax_value_and_gradient(loss)(
        values, frame_paddings, targets, mask, smoothing
    )
    return LossValue(summed=summed, n_valid_examples=n_valid, per_example=per_example), gradient


@cache  # so that jax compiles once per shape
def jax_value_and_gradient(loss: Loss) -> Any:
    from pacebench.backends.losses_jax import compute_loss

    def summed(
        values: Any, frame_paddings: Any, targets: Any, mask: Any, smoothing: Any
    ) -> tuple[Any, tuple[Any, Any]]:
        outputs = values if frame_paddings is None else (values, frame_paddings)
        value = compute_loss(loss, targets, outputs, mask, smoothing)
        return value.summed, (value.n_valid_examples, value.per_example)

    return jax.jit(jax.value_and_grad(summed, has_aux=True))


def assert_value(found: LossValue, per_example: Any, n_valid: float, tolerance: float) -> None:
    per_example = np.asarray(per_example)
    assert found.per_example.shape == per_example.shape
    np.testing.assert_allclose(found.per_example, per_example, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.summed, per_example.sum(), rtol=tolerance, atol=tolerance)
    assert found.n_valid_examples == pytest.approx(n_valid)


def log_softmax(logits_UC: np.ndarray) -> np.ndarray:
    shifted_UC = logits_UC.astype(np.float64) - logits_UC.max(axis=-1, keepdims=True)
    return shifted_UC - np.log(np.exp(shifted_UC).sum(axis=-1, keepdims=True))


def smoothed(targets: np.ndarray, smoothing: float) -> np.ndarray:
    """(1-a)·targets + a/C: facts_vision.md 1.5, facts_text_graph_ctr.md for ogbg."""
    return (1 - smoothing) * targets.astype(np.float64) + smoothing / targets.shape[-1]


def sigmoid_loss(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """max(z, 0) - z·y + log(1 + exp(-|z|)): facts_text_graph_ctr.md, the loss of ogbg."""
    z = logits.astype(np.float64)
    return np.maximum(z, 0) - z * targets + np.log1p(np.exp(-np.abs(z)))


def ctc_by_enumeration(logits_TC: np.ndarray, tokens: tuple[int, ...]) -> float:
    """-log of the summed probability of every path that collapses to `tokens`; blank is 0."""
    log_p_TC = log_softmax(logits_TC)
    n_frames, n_classes = log_p_TC.shape
    probability = 0.0
    for path in itertools.product(range(n_classes), repeat=n_frames):
        collapsed = tuple(token for token, _ in itertools.groupby(path) if token != 0)
        if collapsed == tokens:
            probability += np.exp(sum(log_p_TC[t, token] for t, token in enumerate(path)))
    return float(-np.log(probability))


def paddings(lengths: list[int], size: int) -> np.ndarray:
    return (np.arange(size)[None, :] >= np.array(lengths)[:, None]).astype(np.float32)


def example_of(loss: Loss, seed: int = 0, n_examples: int = 3) -> tuple[Any, Any]:
    """Targets and outputs of a small batch; each CTC example has two tokens and can be aligned."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n_examples, 6, 4)).astype(np.float32)
    if loss is Loss.SOFTMAX_CROSS_ENTROPY:
        return random.integers(0, 4, size=(n_examples, 6)), values
    if loss is Loss.SIGMOID_CROSS_ENTROPY:
        return random.integers(0, 2, size=values.shape), values
    if loss is Loss.CTC:
        tokens = random.integers(1, 4, size=(n_examples, 3)).astype(np.float32)
        frames = paddings([6, 5, 4][:n_examples], 6)
        return (tokens, paddings([2] * n_examples, 3)), (values, frames)
    return random.normal(size=values.shape).astype(np.float32), values
