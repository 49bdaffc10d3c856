"""fastmri: the structural similarity of reconstructed slices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.spec import Batch, LossValue
from workloads.fastmri.ssim import Similarity, ssim

GOLDEN = Path(__file__).parents[2].parent / "shared" / "spec" / "golden" / "golden_vision.json"


def slow_ssim(x: NDArray[np.float64], y: NDArray[np.float64], data_range: float) -> float:
    """Compute SSIM window by window, as facts_vision.md section 4.6 says."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for i in range(x.shape[0] - 6):
        for j in range(x.shape[1] - 6):
            a, b = x[i : i + 7, j : j + 7].ravel(), y[i : i + 7, j : j + 7].ravel()
            (va, vab), (_, vb) = np.cov(a, b)  # of samples: divided by 48
            top = (2 * a.mean() * b.mean() + c1) * (2 * vab + c2)
            values.append(top / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (va + vb + c2)))
    return float(np.mean(values))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
def test_ssim_is_what_the_plain_reference_computes(scale: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        shape = tuple(generator.integers(7, 14, 2))
        x = scale * generator.random(shape)
        y = x + scale * 0.3 * generator.normal(size=shape)
        assert ssim(x, y, 2 * scale) == pytest.approx(slow_ssim(x, y, 2 * scale), rel=1e-9)


def test_ssim_is_algoperfs() -> None:
    # golden_vision.json, "ssim": its rule says how the images are made; the second range is 0.
    i = np.arange(2 * 320 * 320).reshape(2, 320, 320)
    logits = np.sin(0.001 * (i + 1))
    targets = logits + 0.1 * np.cos(0.003 * i)
    for row, (mean, std, range_, wanted) in enumerate(
        [(0.5, 2.0, 3.0, 0.9740303754806519), (-0.25, 0.5, 0.0, 0.9747686982154846)]
    ):
        found = ssim(logits[row] * std + mean, targets[row] * std + mean, range_)
        assert found == pytest.approx(wanted, abs=1e-6)
    if GOLDEN.is_file():
        assert json.loads(GOLDEN.read_text())["ssim"]["value"][1] == wanted


def make_batch(n_examples: int) -> tuple[Batch, NDArray[np.float32], LossValue]:
    """Give a batch with two clipped targets, outputs near it, and its losses."""
    generator = np.random.default_rng(1)
    references = generator.random((n_examples, 12, 12)).astype(np.float32)
    references[:2, 5, 5] = 9
    mean = references.mean((1, 2)) + np.float32(0.1)
    std = references.std((1, 2))
    targets = np.clip((references - mean[:, None, None]) / std[:, None, None], -6, 6)
    outputs = (targets + 0.2 * generator.normal(size=targets.shape)).astype(np.float32)
    batch = {"targets": targets, "references": references, "mean": mean, "std": std}
    batch |= {"volume_max": np.full(n_examples, 9, np.float32)}
    batch |= {"weights": np.ones(n_examples, np.float32)}
    losses = np.abs(outputs - targets).mean((1, 2))
    return batch, outputs, LossValue(summed=0.0, n_valid_examples=0.0, per_example=losses)


def test_the_metric_is_the_mean_over_slices_and_padding_has_no_part_in_it() -> None:
    batch, outputs, loss = make_batch(5)
    found = Similarity().finish(Similarity().update(outputs, loss, batch), 5)
    std, mean = (batch[name][:, None, None].astype(np.float64) for name in ("std", "mean"))
    pairs = list(zip(outputs * std + mean, batch["targets"] * std + mean, strict=True))
    wanted = np.mean([slow_ssim(x, y, 9.0) for x, y in pairs])
    assert found["ssim"] == pytest.approx(wanted, rel=1e-6)
    clean = [slow_ssim(x, y, 9.0) for (x, _), y in zip(pairs, batch["references"], strict=True)]
    assert found["ssim_clean"] == pytest.approx(np.mean(clean), rel=1e-5)
    assert abs(found["ssim_clean"] - found["ssim"]) > 1e-3  # two targets are cut off
    assert found["loss"] == pytest.approx(loss.per_example.mean(), rel=1e-6)
    batch["weights"][3:] = 0
    outputs[3:] = np.nan
    loss.per_example[3:] = 0
    padded = Similarity().finish(Similarity().update(outputs, loss, batch), 3)
    assert padded["ssim"] == pytest.approx(
        np.mean([slow_ssim(x, y, 9.0) for x, y in pairs[:3]]), rel=1e-6
    )


def test_parts_merge_to_the_whole() -> None:
    batch, outputs, loss = make_batch(4)
    metric = Similarity()
    whole = metric.update(outputs, loss, batch)
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        part = LossValue(summed=0, n_valid_examples=0, per_example=loss.per_example[rows])
        parts.append(metric.update(outputs[rows], part, {k: v[rows] for k, v in batch.items()}))
    assert metric.finish(metric.merge(*parts), 4) == pytest.approx(metric.finish(whole, 4))


def test_a_perfect_slice_has_similarity_1() -> None:
    image = np.random.default_rng(0).random((9, 9))
    assert ssim(image, image, 0.0) == pytest.approx(1.0, abs=1e-12)
    assert ssim(image, 1 - image, 1.0) < 0
