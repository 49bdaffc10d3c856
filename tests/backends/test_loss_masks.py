"""Masks of all losses, and shapes that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacebench.errors import PacebenchError
from pacebench.spec import Loss
from tests.backends.losses import (
    assert_value,
    compute,
    each_framework,
    each_loss,
    example_of,
)


@each_framework
@each_loss
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_a_mask_of_examples_leaves_the_rest_as_it_was(
    framework: str, loss: Loss, dtype: type
) -> None:
    targets, outputs = example_of(loss)
    mask_B = np.array([1, 0, 1]).astype(dtype)
    in_full, in_full_gradient = compute(framework, loss, targets, outputs)
    found, gradient = compute(framework, loss, targets, outputs, mask_B)
    expected = in_full.per_example.copy()
    expected[1] = 0
    assert_value(found, expected, in_full.n_valid_examples * 2 / 3, 1e-6)
    np.testing.assert_allclose(gradient[[0, 2]], in_full_gradient[[0, 2]], atol=1e-6)
    assert not gradient[1].any()


@each_framework
@each_loss
def test_a_mask_weighs(framework: str, loss: Loss) -> None:
    targets, outputs = example_of(loss)
    in_full, _ = compute(framework, loss, targets, outputs)
    found, _ = compute(framework, loss, targets, outputs, np.array([2.0, 0.5, 0.0], np.float32))
    expected = in_full.per_example * np.array([2.0, 0.5, 0.0]).reshape(
        -1, *[1] * (in_full.per_example.ndim - 1)
    )
    assert_value(found, expected, in_full.n_valid_examples * 2.5 / 3, 1e-5)


@each_framework
@pytest.mark.parametrize(
    ("loss", "mask_shape"),
    [
        (Loss.SOFTMAX_CROSS_ENTROPY, (3, 6)),
        (Loss.SIGMOID_CROSS_ENTROPY, (3, 6)),
        (Loss.SIGMOID_CROSS_ENTROPY, (3, 6, 4)),
    ],
)
def test_a_mask_may_cover_tokens_and_labels(
    framework: str, loss: Loss, mask_shape: tuple[int, ...]
) -> None:
    targets, outputs = example_of(loss)
    mask = np.random.default_rng(4).integers(0, 2, size=mask_shape).astype(bool)
    in_full, _ = compute(framework, loss, targets, outputs)
    units = mask.reshape(*mask_shape, *[1] * (in_full.per_example.ndim - mask.ndim))
    units = np.broadcast_to(units, in_full.per_example.shape)
    found, _ = compute(framework, loss, targets, outputs, mask)
    assert_value(found, np.where(units, in_full.per_example, 0), units.sum(), 1e-5)


@each_framework
@each_loss
def test_no_mask_is_a_mask_of_ones(framework: str, loss: Loss) -> None:
    targets, outputs = example_of(loss)
    found, gradient = compute(framework, loss, targets, outputs)
    same, same_gradient = compute(framework, loss, targets, outputs, np.ones(3, np.float32))
    np.testing.assert_array_equal(found.per_example, same.per_example)
    np.testing.assert_array_equal(gradient, same_gradient)
    assert found.n_valid_examples == same.n_valid_examples


@each_framework
@each_loss
def test_a_batch_that_is_all_masked_sums_to_0_with_a_gradient_of_0(
    framework: str, loss: Loss
) -> None:
    targets, outputs = example_of(loss)
    found, gradient = compute(framework, loss, targets, outputs, np.zeros(3, np.float32))
    assert found.summed == found.n_valid_examples == 0
    assert not found.per_example.any()
    assert not gradient.any()


@each_framework
@pytest.mark.parametrize(
    ("loss", "nothing"),
    [
        (Loss.SOFTMAX_CROSS_ENTROPY, -1),  # how the language model's data pads
        (Loss.SIGMOID_CROSS_ENTROPY, np.nan),  # how ogbg's data marks an unknown label
        (Loss.MEAN_SQUARED_ERROR, np.nan),
        (Loss.MEAN_ABSOLUTE_ERROR, np.nan),
    ],
)
def test_a_masked_target_may_hold_anything(framework: str, loss: Loss, nothing: float) -> None:
    targets, outputs = example_of(loss)
    targets = targets if nothing == -1 else targets.astype(np.float32)
    mask = np.array([1, 0, 1])
    found, gradient = compute(framework, loss, targets, outputs, mask, smoothing=0.1)
    targets[1] = nothing
    same, same_gradient = compute(framework, loss, targets, outputs, mask, smoothing=0.1)
    np.testing.assert_array_equal(found.per_example, same.per_example)
    np.testing.assert_array_equal(gradient, same_gradient)


@each_framework
@pytest.mark.parametrize(
    ("loss", "shapes", "message"),
    # The shapes are those of the targets, the outputs and the mask.
    [
        (Loss.SOFTMAX_CROSS_ENTROPY, ((4,), (3, 5), None), r"targets of shape \(4,\).*\(3,\)"),
        (Loss.SOFTMAX_CROSS_ENTROPY, ((3, 4), (3, 5), None), r"targets .*\(3, 4\).*\(3, 5\)"),
        (Loss.SIGMOID_CROSS_ENTROPY, ((3,), (3, 1), None), r"targets .*\(3,\).*\(3, 1\)"),
        (Loss.MEAN_SQUARED_ERROR, ((3, 1), (3,), None), r"targets .*\(3, 1\).*\(3,\)"),
        (Loss.SOFTMAX_CROSS_ENTROPY, ((3,), (3, 5), (4,)), r"mask of shape \(4,\).*\(3,\)"),
        (Loss.MEAN_ABSOLUTE_ERROR, ((3, 2), (3, 2), (3, 2)), r"mask .*\(3, 2\).*\(3,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    framework: str, loss: Loss, shapes: tuple[Any, Any, Any], message: str
) -> None:
    targets, outputs = (np.zeros(shape, np.float32) for shape in shapes[:2])
    mask = None if shapes[2] is None else np.ones(shapes[2], np.float32)
    with pytest.raises(PacebenchError, match=message):
        compute(framework, loss, targets, outputs, mask)
