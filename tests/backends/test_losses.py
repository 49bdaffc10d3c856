"""The five losses: against float64 worked here, and torch against jax.

Longer than 400 lines because every promise is made for five losses in two frameworks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacebench.errors import PacebenchError
from pacebench.spec import Loss, LossValue

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
pytest.importorskip("optax")

FRAMEWORKS = ("torch", "jax")
each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
each_loss = pytest.mark.parametrize("loss", list(Loss))
# Few examples, the same ones each time: jax compiles anew for every shape.
random_cases = settings(max_examples=20, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def strict_jax() -> Iterator[None]:
    with jax.numpy_rank_promotion("raise"):
        yield


# ---- Calling both frameworks with numpy arrays --------------------------------------------------


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


# ---- The formulas again, in float64 -------------------------------------------------------------


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


# ---- Softmax cross entropy ----------------------------------------------------------------------


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


# ---- Sigmoid cross entropy ----------------------------------------------------------------------


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


# ---- Regression ---------------------------------------------------------------------------------


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


# ---- CTC ----------------------------------------------------------------------------------------


@each_framework
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_ctc_sums_over_all_alignments(framework: str, dtype: type) -> None:
    random = np.random.default_rng(3)
    logits_BTC = random.normal(size=(5, 5, 3), scale=2).astype(np.float32)
    n_frames = [5, 4, 3, 5, 2]
    tokens = [(1, 2), (1, 1), (2, 1, 2), (), (2,)]
    tokens_BL = np.array([[*row, *[0] * (3 - len(row))] for row in tokens]).astype(dtype)
    expected = [
        ctc_by_enumeration(logits_BTC[b, : n_frames[b]], tokens[b]) for b in range(len(tokens))
    ]
    targets = (tokens_BL, paddings([len(row) for row in tokens], 3))
    found, _ = compute(framework, Loss.CTC, targets, (logits_BTC, paddings(n_frames, 5)))
    assert_value(found, expected, 2 + 2 + 3 + 0 + 1, 1e-5)  # target tokens are counted


def impossible_example() -> tuple[Any, Any]:
    """The golden case of facts_speech_dev.md 4.1; its third row needs 5 frames and has 3."""
    logits_BTC = np.random.RandomState(0).randn(3, 12, 7).astype(np.float32)
    tokens_BL = np.array([[1, 2, 2, 3, 0], [4, 5, 1, 0, 0], [1, 1, 1, 0, 0]])
    return (tokens_BL, paddings([4, 3, 3], 5)), (logits_BTC, paddings([12, 8, 3], 12))


@each_framework
def test_ctc_gives_the_golden_numbers_of_algoperfs_jax(framework: str) -> None:
    found, gradient = compute(framework, Loss.CTC, *impossible_example())
    np.testing.assert_allclose(found.per_example, [16.64845, 9.938599, 1.00003e5], rtol=1e-6)
    assert found.n_valid_examples == 10
    assert np.isfinite(gradient).all()


@each_framework
@pytest.mark.parametrize(
    ("n_frames", "tokens"), [(2, (1, 2, 1)), (1, (2, 1)), (3, (1, 2, 3, 2, 1)), (2, (3, 2, 1, 2))]
)
def test_ctc_of_the_impossible_loses_its_first_tokens_for_a_price(
    framework: str, n_frames: int, tokens: tuple[int, ...]
) -> None:
    # One break is enough: to begin behind as many tokens as there are frames too few. What the rest
    # costs is a few units; 1e5 in float32 has steps of 1/128, which is what gradients may be off.
    logits_BTC = np.random.default_rng(5).normal(size=(1, 4, 4)).astype(np.float32)
    targets = (np.array([tokens]), paddings([len(tokens)], len(tokens)))
    outputs = (logits_BTC, paddings([n_frames], 4))
    found, gradient = compute(framework, Loss.CTC, targets, outputs)
    assert found.per_example[0] == pytest.approx(1e5, abs=20)
    assert not gradient[0, n_frames:].any()
    assert np.abs(gradient[0, :n_frames].sum(-1)).max() < 0.02  # each a softmax minus its target


@each_framework
def test_ctc_without_its_impossible_example_has_a_finite_gradient(framework: str) -> None:
    found, gradient = compute(framework, Loss.CTC, *impossible_example(), np.array([1, 1, 0]))
    np.testing.assert_allclose(found.per_example, [16.64845, 9.938599, 0], rtol=1e-6)
    assert found.n_valid_examples == 4 + 3
    assert np.isfinite(gradient).all()
    assert not gradient[2].any()


@each_framework
def test_ctc_of_an_example_that_is_all_padding_is_0(framework: str) -> None:
    targets, (logits_BTC, frames_BT) = example_of(Loss.CTC)
    tokens = targets[1].copy()
    tokens[2], frames_BT[2] = 1, 1
    found, gradient = compute(framework, Loss.CTC, (targets[0], tokens), (logits_BTC, frames_BT))
    assert found.per_example[2] == 0
    assert found.n_valid_examples == 2 + 2
    assert not gradient[2].any()


@each_framework
def test_ctc_does_not_look_at_padded_frames_and_tokens(framework: str) -> None:
    (tokens_BL, token_paddings), (logits_BTC, frame_paddings) = example_of(Loss.CTC)
    other_tokens_BL = np.where(token_paddings == 1, 2, tokens_BL)
    other_logits_BTC = np.where(frame_paddings[..., None] == 1, 7, logits_BTC).astype(np.float32)
    found, _ = compute(
        framework, Loss.CTC, (tokens_BL, token_paddings), (logits_BTC, frame_paddings)
    )
    same, gradient = compute(
        framework, Loss.CTC, (other_tokens_BL, token_paddings), (other_logits_BTC, frame_paddings)
    )
    np.testing.assert_array_equal(found.per_example, same.per_example)
    assert not gradient[frame_paddings == 1].any()


@each_framework
def test_ctc_of_huge_logits_is_exact(framework: str) -> None:
    # Two frames that say (token 1, token 2) for certain. The only path to (1, 2) costs nothing;
    # the only path to (2, 1) is wrong by 2e4 twice.
    logits_BTC = np.full((2, 2, 3), -1e4, np.float32)
    logits_BTC[:, 0, 1] = logits_BTC[:, 1, 2] = 1e4
    targets = (np.array([[1, 2], [2, 1]]), np.zeros((2, 2), np.float32))
    outputs = (logits_BTC, np.zeros((2, 2), np.float32))
    found, gradient = compute(framework, Loss.CTC, targets, outputs)
    assert_value(found, [0, 4e4], 4, 1e-6)
    assert np.isfinite(gradient).all()


# ---- Masks --------------------------------------------------------------------------------------


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


# ---- Mistakes -----------------------------------------------------------------------------------


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


# ---- torch and jax agree ------------------------------------------------------------------------

SHAPES = {
    Loss.SOFTMAX_CROSS_ENTROPY: [(1, 2), (3, 5), (2, 3, 4)],
    Loss.SIGMOID_CROSS_ENTROPY: [(4,), (3, 1), (2, 3)],
    Loss.MEAN_SQUARED_ERROR: [(4,), (2, 3), (2, 3, 4)],
    Loss.MEAN_ABSOLUTE_ERROR: [(4,), (2, 3), (2, 3, 4)],
}


def assert_frameworks_agree(
    loss: Loss, targets: Any, outputs: Any, mask: Any, smoothing: float
) -> None:
    in_torch, torch_gradient = compute("torch", loss, targets, outputs, mask, smoothing=smoothing)
    in_jax, jax_gradient = compute("jax", loss, targets, outputs, mask, smoothing=smoothing)
    scale = max(1.0, float(np.abs(in_torch.per_example).max()))
    close = partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6 * scale)
    close(in_torch.per_example, in_jax.per_example)
    close(in_torch.n_valid_examples, in_jax.n_valid_examples)
    np.testing.assert_allclose(in_torch.summed, in_jax.summed, rtol=2e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(torch_gradient, jax_gradient, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("loss", list(SHAPES))
@random_cases
@given(data=st.data())
def test_torch_and_jax_agree(loss: Loss, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(SHAPES[loss]))
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 0.9]))
    scale = data.draw(st.sampled_from([0.0, 1.0, 30.0, 1e4]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    outputs = (scale * random.normal(size=shape)).astype(np.float32)
    if loss is Loss.SOFTMAX_CROSS_ENTROPY and data.draw(st.booleans()):
        targets = random.integers(0, shape[-1], size=shape[:-1])
    else:
        targets = random.uniform(size=shape).astype(np.float32)
    mask = data.draw(st.sampled_from([None, random.integers(0, 2, size=shape[:1])]))
    assert_frameworks_agree(loss, targets, outputs, mask, smoothing)


@random_cases
@given(data=st.data())
def test_torch_and_jax_agree_on_ctc(data: st.DataObject) -> None:
    n_examples, n_frames, n_tokens, n_classes = 3, 8, 3, 5
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    scale = data.draw(st.sampled_from([0.0, 1.0, 10.0]))
    shape = (n_examples, n_frames, n_classes)
    logits_BTC = (scale * random.normal(size=shape)).astype(np.float32)
    token_lengths = data.draw(st.lists(st.integers(0, n_tokens), min_size=3, max_size=3))
    # 2·3 - 1 frames are enough for three tokens, even if they are all equal; others may be too few.
    frame_lengths = data.draw(st.lists(st.integers(0, n_frames), min_size=3, max_size=3))
    tokens_BL = random.integers(1, n_classes, size=(n_examples, n_tokens))
    mask = data.draw(st.sampled_from([None, random.integers(0, 2, size=n_examples)]))
    targets = (tokens_BL, paddings(token_lengths, n_tokens))
    outputs = (logits_BTC, paddings(frame_lengths, n_frames))
    # A loss of 1e5 has steps of 1/128, and the gradient is computed from sums of that size.
    needed = [
        n + sum(np.diff(row[:n]) == 0) for n, row in zip(token_lengths, tokens_BL, strict=True)
    ]
    slack_B = np.where(np.array(frame_lengths) < needed, 2 / 128, 2e-6)
    in_torch, torch_gradient = compute("torch", Loss.CTC, targets, outputs, mask)
    in_jax, jax_gradient = compute("jax", Loss.CTC, targets, outputs, mask)
    np.testing.assert_allclose(in_torch.per_example, in_jax.per_example, rtol=2e-5, atol=1e-5)
    assert in_torch.n_valid_examples == in_jax.n_valid_examples
    difference_BTC = np.abs(torch_gradient - jax_gradient)
    assert np.all(difference_BTC <= slack_B[:, None, None] + 1e-4 * np.abs(jax_gradient))


# ---- Compilers ----------------------------------------------------------------------------------


@each_loss
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_jax_gives_the_same_traced_and_untraced(loss: Loss, smoothing: float) -> None:
    from pacebench.backends.losses_jax import compute_loss

    targets, outputs = example_of(loss)
    mask = np.array([1, 0, 1])
    traced, _ = compute("jax", loss, targets, outputs, mask, smoothing=smoothing)
    found = compute_loss(loss, targets, outputs, mask, smoothing)
    np.testing.assert_allclose(found.summed, traced.summed, rtol=1e-5)
    np.testing.assert_array_equal(found.n_valid_examples, traced.n_valid_examples)
    np.testing.assert_allclose(found.per_example, traced.per_example, rtol=1e-5, atol=1e-6)


def test_torch_compiles_each_loss_into_one_graph_but_for_ctc() -> None:
    from pacebench.backends.losses_torch import compute_loss

    torch.compiler.reset()
    mask = torch.tensor([1, 0, 1])
    for loss in Loss:  # one after the other, so that no loss answers for another
        # fullgraph raises where a value would be read on the host; CTC reads its lengths there.
        # backend="eager" traces all the same and spares the C++ compiler.
        is_one_graph = loss is not Loss.CTC
        compiled = torch.compile(compute_loss, fullgraph=is_one_graph, backend="eager")
        targets, outputs = (map_arrays(torch.from_numpy, values) for values in example_of(loss))
        for smoothing in (0.0, 0.1):
            expected = compute_loss(loss, targets, outputs, mask, smoothing)
            found = compiled(loss, targets, outputs, mask, smoothing)
            torch.testing.assert_close(found.summed, expected.summed)
            torch.testing.assert_close(found.n_valid_examples, expected.n_valid_examples)
            torch.testing.assert_close(found.per_example, expected.per_example)
    torch.compiler.reset()


@each_framework
@each_loss
def test_half_precision_outputs_are_taken_in_float32(framework: str, loss: Loss) -> None:
    targets, outputs = example_of(loss)
    logits = outputs[0] if loss is Loss.CTC else outputs
    half = logits.astype(np.float16)
    halves, singles = (half, half.astype(np.float32))
    if loss is Loss.CTC:
        halves, singles = (halves, outputs[1]), (singles, outputs[1])
    expected, _ = compute(framework, loss, targets, singles)
    found, _ = compute(framework, loss, targets, halves)  # compute checks that it is float32
    np.testing.assert_allclose(found.per_example, expected.per_example, rtol=1e-6)
