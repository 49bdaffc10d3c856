"""RandAugment: its operations on levels against plain loops (facts_vision.md 1.4), its draws."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from workloads.imagenet import levels, moves
from workloads.imagenet.randaugment import N_UNIFORMS, OPERATIONS, apply, randaugment

Image = NDArray[np.uint8]
N_IMAGES = 200
OF_LEVELS = OPERATIONS[:10]
FACTOR = Fraction(19, 10)
GREY = (Fraction(2989, 10_000), Fraction(5870, 10_000), Fraction(1140, 10_000))


def images() -> list[Image]:
    """Small images of odd and even sides, some of few levels, some of one."""
    generator = np.random.default_rng(0)
    made = []
    for i in range(N_IMAGES):
        height, width = generator.integers(1, 10, 2)
        low, high = sorted(generator.integers(0, 257, 2))
        limits = [(0, 256), (low, high + 1), (low, low + 1), (0, 2)][i % 4]
        pixels = generator.integers(*limits, (height, width, 3)).clip(0, 255)
        if i % 5 == 0:
            pixels[..., 1] = 7
        made.append(pixels.astype(np.uint8))
    return made


def blend(other: int, value: int) -> int:
    """AlgoPerf's blend at factor 1.9: clipped, then truncated."""
    return int(min(Fraction(255), max(Fraction(0), other + FACTOR * (value - other))))


def equalized(channel: list[int]) -> list[int]:
    """PIL's ImageOps.equalize, spelled out."""
    counts = [channel.count(level) for level in range(256)]
    step = (len(channel) - [c for c in counts if c][-1]) // 255
    if step == 0:
        return channel
    return [min(255, (sum(counts[:value]) + step // 2) // step) for value in channel]


def stretched(channel: list[int]) -> list[int]:
    """PIL's ImageOps.autocontrast in AlgoPerf's float32."""
    low, high = np.float32(min(channel)), np.float32(max(channel))
    if low == high:
        return channel
    scale = np.float32(255) / (high - low)
    return [int(min(255, max(0, np.float32(v) * scale + -low * scale))) for v in channel]


def smoothed(image: Image, y: int, x: int, c: int) -> int:
    """The 3x3 mean with weight 5 in the middle, truncated; the pixel itself at the border."""
    height, width = image.shape[:2]
    if y in (0, height - 1) or x in (0, width - 1):
        return int(image[y, x, c])
    around = sum(int(image[y + i, x + j, c]) for i in (-1, 0, 1) for j in (-1, 0, 1))
    return (around + 4 * int(image[y, x, c])) // 13


def expected(name: str, image: Image) -> Image:
    """The operation pixel by pixel."""
    out = np.empty_like(image)
    for c in range(3):
        channel = [int(v) for v in image[..., c].ravel()]
        if name in ("auto_contrast", "equalize"):
            made = stretched(channel) if name == "auto_contrast" else equalized(channel)
            out[..., c] = np.array(made).reshape(image.shape[:2])
            continue
        for (y, x), value in zip(np.ndindex(image.shape[:2]), channel, strict=True):
            grey = sum(w * int(v) for w, v in zip(GREY, image[y, x], strict=True))
            out[y, x, c] = {
                "invert": 255 - value,
                "solarize": 255 - value,
                "posterize": value // 16 * 16,
                "solarize_add": min(255, value + 110) if value < 128 else value,
                "color": blend(int(grey / 255 * Fraction(511, 2)), value),
                "contrast": blend(224 * 224 // 256, value),
                "brightness": blend(0, value),
                "sharpness": blend(smoothed(image, y, x, c), value),
            }[name]
    return out


@pytest.mark.parametrize("name", OF_LEVELS)
def test_operations_on_levels_equal_plain_loops(name):
    for image in images():
        before = image.copy()
        np.testing.assert_array_equal(apply(name, image, 0, 0), expected(name, image))
        np.testing.assert_array_equal(image, before)


def test_equalize_at_full_size_equals_plain_loops():
    image = np.random.default_rng(1).normal(90, 30, (37, 41, 3)).clip(0, 255).astype(np.uint8)
    assert 37 * 41 > 2 * 255  # so that its step is above 0
    result = levels.equalize(image)
    np.testing.assert_array_equal(result, expected("equalize", image))
    assert (result != image).mean() > 0.5


def test_the_level_of_contrast_is_196_at_every_size():
    assert levels.contrast(np.full((3, 5, 3), 196, np.uint8)).tolist() == [[[196] * 3] * 5] * 3


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_leave_their_input_and_its_shape_alone(name):
    image = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    before = image.copy()
    for second in (0.2, 0.7):
        result = apply(name, image, second, 0.4)
        assert result.shape == image.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


def test_values_are_clipped_and_truncated_before():
    values = np.array([[[-30.0, 3.99, 300.0]]], np.float32)
    invert = (OPERATIONS.index("invert") + 0.5) / 16
    result = randaugment(values, [invert, 0, 0, invert, 0, 0])
    assert result.dtype == np.float32 and result.tolist() == [[[0, 3, 255]]]


def test_two_operations_follow_each_other():
    image = np.random.default_rng(5).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    first, second = (OPERATIONS.index(name) + 0.5 for name in ("shear_x", "cutout"))
    uniforms = [first / 16, 0.5, 0, second / 16, 100 / 224, 10.5 / 224]
    by_hand = moves.cutout(moves.shear_x(image, -1), 100, 10)
    result = randaugment(image.astype(np.float32), uniforms)
    np.testing.assert_array_equal(result, by_hand)
    np.testing.assert_array_equal(result, randaugment(image.astype(np.float32), uniforms))


def test_sixteen_operations_and_both_signs_are_equally_likely(monkeypatch):
    seen: Counter[str] = Counter()

    def record(name, image, second, third):
        assert 0 <= second < 1 and 0 <= third < 1
        seen[name] += 1
        return image

    monkeypatch.setattr("workloads.imagenet.randaugment.apply", record)
    draws = np.random.default_rng(4).random((8000, N_UNIFORMS)).tolist()
    for uniforms in draws:
        randaugment(np.zeros((1, 1, 3), np.float32), uniforms)
    assert len(OPERATIONS) == len(set(OPERATIONS)) == len(seen) == 16
    # 16,000 draws, 1000 each, with a deviation of 31: six of them.
    assert all(abs(n - 1000) < 6 * 31 for n in seen.values()), seen
