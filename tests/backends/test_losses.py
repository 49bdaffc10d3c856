"""Cross entropies and regression against float64 worked here."""

from __future__ import annotations

import numpy as np
import pytest

from pacebench.spec import Loss
from tests.backends.losses import (
    assert_value,
    compute,
    each_framework,
    example_of,
    log_softmax,
    sigmoid_loss,
    smoothed,
)


@each_framework
def test_softmax_of_two_equal_logits_costs_log_2(framework: str) -> None:
    found, gradient = compute(
        framework, Loss.SOFTMAX_CROSS_ENTROPY, np.array([1]), np.zeros((1, 2), np.float32)
    )
    assert_value(found, [np.log(2)], 1, 1e-6)
    # softmax - one-hot = (1/2, 1/2) - (0, 1)
    np.testing.assert_allclose(gradient, [[0.5, -0.5]], atol=1e-6)


@each_framework
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float32])
def test_softmax_takes_classes_of_any_number_type(
    framework: str, smoothing: float, dtype: type
) -> None:
    classes_BT, logits_BTC = example_of(Loss.SOFTMAX_CROSS_ENTROPY)
    expected = -(smoothed(np.eye(4)[classes_BT], smoothing) * log_softmax(logits_BTC)).sum(-1)
    found, gradient = compute(
        framework,
        Loss.SOFTMAX_CROSS_ENTROPY,
        classes_BT.astype(dtype),
        logits_BTC,
        smoothing=smoothing,
    )
    assert_value(found, expected, 3 * 6, 1e-5)  # tokens, not examples, are counted
    expected_gradient = np.exp(log_softmax(logits_BTC)) - smoothed(np.eye(4)[classes_BT], smoothing)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


@each_framework
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_softmax_takes_distributions(framework: str, smoothing: float, dtype: type) -> None:
    random = np.random.default_rng(1)
    logits_BC = random.normal(size=(4, 4)).astype(np.float32)
    if dtype is np.float32:  # as mixup makes them
        targets_BC = (0.3 * np.eye(4)[[0, 1, 2, 3]] + 0.7 * np.eye(4)[[1, 1, 0, 2]]).astype(dtype)
    else:
        targets_BC = np.eye(4)[[3, 0, 0, 2]].astype(dtype)
    expected = -(smoothed(targets_BC, smoothing) * log_softmax(logits_BC)).sum(-1)
    found, _ = compute(
        framework, Loss.SOFTMAX_CROSS_ENTROPY, targets_BC, logits_BC, smoothing=smoothing
    )
    assert_value(found, expected, 4, 1e-5)


@each_framework
def test_a_batch_of_as_many_examples_as_classes_is_not_taken_for_distributions(
    framework: str,
) -> None:
    # AlgoPerf's jax ImageNet loss does, at exactly 1000 examples (facts_vision.md 1.5).
    found, _ = compute(
        framework, Loss.SOFTMAX_CROSS_ENTROPY, np.array([0, 1, 2]), np.zeros((3, 3), np.float32)
    )
    assert_value(found, [np.log(3)] * 3, 3, 1e-6)


@each_framework
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_softmax_of_huge_logits_is_exact(framework: str, smoothing: float) -> None:
    logits_BC = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)
    # log p = (0, -2e4); smoothing by a half makes the targets (3/4, 1/4) and (1/4, 3/4).
    expected = {0.0: [0.0, 2e4], 0.5: [0.5e4, 1.5e4]}[smoothing]
    found, gradient = compute(
        framework, Loss.SOFTMAX_CROSS_ENTROPY, np.array([0, 1]), logits_BC, smoothing=smoothing
    )
    assert_value(found, expected, 2, 1e-6)
    assert np.isfinite(gradient).all()


@each_framework
def test_softmax_gives_no_cost_to_a_class_that_is_ruled_out_by_minus_infinity(
    framework: str,
) -> None:
    logits_BC = np.array([[0.0, 0.0, -np.inf]], np.float32)
    found, gradient = compute(framework, Loss.SOFTMAX_CROSS_ENTROPY, np.array([0]), logits_BC)
    assert_value(found, [np.log(2)], 1, 1e-6)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0.0]], atol=1e-6)


@each_framework
@pytest.mark.parametrize("shape", [(5,), (5, 1), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_sigmoid_costs_each_label_alone(
    framework: str, shape: tuple[int, ...], dtype: type
) -> None:
    random = np.random.default_rng(2)
    targets = random.integers(0, 2, size=shape).astype(dtype)
    logits = random.normal(size=shape, scale=3).astype(np.float32)
    found, gradient = compute(framework, Loss.SIGMOID_CROSS_ENTROPY, targets, logits)
    assert_value(found, sigmoid_loss(targets, logits), np.prod(shape), 1e-5)
    expected_gradient = 1 / (1 + np.exp(-logits.astype(np.float64))) - targets
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


@each_framework
def test_sigmoid_smooths_by_the_number_of_labels(framework: str) -> None:
    # ogbg: y <- (1-a)·y + a/K, here a = 0.4 and K = 4: 0 -> 0.1 and 1 -> 0.7.
    targets = np.array([[0, 1, 1, 0]])
    logits = np.array([[0.5, -0.5, 2.0, 0.0]], np.float32)
    expected = sigmoid_loss(np.array([[0.1, 0.7, 0.7, 0.1]]), logits)
    found, _ = compute(framework, Loss.SIGMOID_CROSS_ENTROPY, targets, logits, smoothing=0.4)
    assert_value(found, expected, 4, 1e-6)


@each_framework
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_sigmoid_does_not_smooth_a_single_label(framework: str, shape: tuple[int, ...]) -> None:
    targets = np.array([0.0, 1.0, 1.0], np.float32).reshape(shape)
    logits = np.array([0.5, -0.5, 2.0], np.float32).reshape(shape)
    found, _ = compute(framework, Loss.SIGMOID_CROSS_ENTROPY, targets, logits, smoothing=0.4)
    assert_value(found, sigmoid_loss(targets, logits), 3, 1e-6)


@each_framework
def test_sigmoid_of_huge_logits_is_exact_and_at_zero_its_slope_is_a_half(framework: str) -> None:
    targets = np.array([0, 1, 0, 1, 0, 1])
    logits = np.array([1e4, 1e4, -1e4, -1e4, 0, 0], np.float32)
    found, gradient = compute(framework, Loss.SIGMOID_CROSS_ENTROPY, targets, logits)
    assert_value(found, [1e4, 0, 0, 1e4, np.log(2), np.log(2)], 6, 1e-6)
    np.testing.assert_allclose(gradient, [1, 0, 0, -1, 0.5, -0.5], atol=1e-6)


@each_framework
@pytest.mark.parametrize(
    ("loss", "expected"),
    # Differences (1, -3) and (0, 2): squares (1, 9) and (0, 4), sizes (1, 3) and (0, 2).
    [(Loss.MEAN_SQUARED_ERROR, [5.0, 2.0]), (Loss.MEAN_ABSOLUTE_ERROR, [2.0, 1.0])],
)
def test_regression_is_a_mean_over_each_example(
    framework: str, loss: Loss, expected: list[float]
) -> None:
    targets = np.array([[1, 5], [7, 2]])
    outputs = np.array([[2, 2], [7, 4]], np.float32)
    found, _ = compute(framework, loss, targets, outputs)
    assert_value(found, expected, 2, 1e-6)
    same, _ = compute(framework, loss, targets[:, :, None], outputs[:, :, None])
    assert_value(same, expected, 2, 1e-6)


@each_framework
@pytest.mark.parametrize("loss", [Loss.MEAN_SQUARED_ERROR, Loss.MEAN_ABSOLUTE_ERROR])
def test_regression_of_one_number_per_example_is_not_averaged_over_the_batch(
    framework: str, loss: Loss
) -> None:
    found, _ = compute(framework, loss, np.array([0.0, 0.0]), np.array([1.0, -1.0], np.float32))
    assert_value(found, [1.0, 1.0], 2, 1e-6)
