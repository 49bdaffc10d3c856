"""All losses: torch against jax, compiled against not, in half precision."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pacebench.spec import Loss
from tests.backends.losses import (
    compute,
    each_framework,
    each_loss,
    example_of,
    map_arrays,
    paddings,
    random_cases,
)

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
