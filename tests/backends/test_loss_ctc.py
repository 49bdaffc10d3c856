"""CTC against all alignments, golden numbers, and what is impossible or padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacebench.spec import Loss
from tests.backends.losses import (
    assert_value,
    compute,
    ctc_by_enumeration,
    each_framework,
    example_of,
    paddings,
)


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
