"""ImageNet's crops: windows as TF draws them, and the bicubic kernel pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from workloads.imagenet import crop, windows
from workloads.imagenet.bicubic import resize
from workloads.imagenet.crop import central_crop, normalize, random_crop
from workloads.imagenet.windows import Window, central_window, sample_window

MIDDLE_ASPECT = 3 / 7  # 3/4 + 3/7 · (4/3 - 3/4) = 1
FLIPPED, UNFLIPPED = 0.49, 0.5


def keys(distance: float) -> float:
    """Keys' kernel with a = -1/2, in its published form (Keys 1981, equation 4 with a)."""
    a, s = -0.5, abs(distance)
    if s <= 1:
        return (a + 2) * s**3 - (a + 3) * s**2 + 1
    return a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a if s < 2 else 0.0


def value_at(line: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """The value between pixels: every pixel within the image is weighed, weights sum to 1."""
    weights = [keys(place - i) for i in range(len(line))]
    return sum(w * v for w, v in zip(weights, line, strict=True)) / sum(weights)


@pytest.mark.parametrize("shape", [(5, 9), (40, 23), (12, 12), (1, 3), (2, 50)])
def test_resizing_evaluates_the_kernel_at_every_pixel(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    side = 12
    resized = resize(image, side, is_flipped=False)
    assert resized.shape == (side, side, 3) and resized.dtype == np.float32
    for row, column in np.ndindex(side, side):
        y, x = (row + 0.5) * shape[0] / side - 0.5, (column + 0.5) * shape[1] / side - 0.5
        lines = np.array([value_at(line, x) for line in image.astype(float)])
        np.testing.assert_allclose(resized[row, column], value_at(lines, y), atol=1e-3)


def test_resizing_is_not_clipped_and_leaves_an_equal_size_alone():
    image = np.zeros((12, 12, 3), np.uint8)
    image[:, 6:] = 255
    np.testing.assert_array_equal(resize(image, 12, is_flipped=False), image)
    larger = resize(image, 48, is_flipped=False)
    assert larger.min() < -5 and larger.max() > 260


def test_a_flip_swaps_left_and_right():
    image = np.random.default_rng(1).integers(0, 256, (30, 41, 3)).astype(np.uint8)
    plain = resize(image, 20, is_flipped=False)
    np.testing.assert_allclose(resize(image, 20, is_flipped=True), plain[:, ::-1], atol=1e-4)


def test_central_windows_are_seven_eighths_of_the_shorter_side():
    # 0.875 · 375 = 328.1; (375 - 328 + 1) // 2 = 24; (500 - 328 + 1) // 2 = 86
    assert central_window(375, 500) == Window(top=24, left=86, height=328, width=328)
    assert central_window(256, 256) == Window(top=16, left=16, height=224, width=224)
    assert central_window(9, 4) == Window(top=3, left=1, height=3, width=3)
    assert central_window(1, 1) == Window(top=0, left=0, height=1, width=1)


def test_a_central_crop_of_256_pixels_is_a_plain_cut():
    image = np.random.default_rng(2).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    np.testing.assert_array_equal(central_crop(image), image[16:240, 16:240])


def numbers(*attempts: tuple[float, float], top: float = 0.0, left: float = 0.0) -> list[float]:
    """The uniform numbers of a window; further attempts repeat the last one."""
    repeated = [*attempts, *[attempts[-1]] * 10][:10]
    return [top, left, *(u for attempt in repeated for u in attempt)]


def test_a_window_is_drawn_as_tf_draws_it():
    # Aspect 1 in 1000x1000: heights from round(sqrt(80000)) = 283 to 1000, which are 718; the
    # middle one is 283 + 359 = 642. Places are below 1000 - 642 = 358: half of it is 179.
    uniforms = numbers((MIDDLE_ASPECT, 0.5), top=0.5, left=0.9999)
    window = sample_window(1000, 1000, uniforms)
    assert window == Window(top=179, left=357, height=642, width=642)


def test_a_window_below_a_tenth_is_drawn_again():
    # 283² is 8 % of the image; 316² = 99856 just misses a tenth, 317² does not.
    for rows, is_taken in ((283, False), (316, False), (317, True)):
        uniforms = numbers((MIDDLE_ASPECT, (rows - 283 + 0.5) / 718), (MIDDLE_ASPECT, 0.5))
        assert sample_window(1000, 1000, uniforms).height == (rows if is_taken else 642)


def test_a_window_that_cannot_be_drawn_or_is_the_whole_is_the_central_one():
    assert sample_window(10, 1000, numbers((0.5, 0.5))) == central_window(10, 1000)
    whole = sample_window(40, 40, numbers((MIDDLE_ASPECT, 0.9999)))
    assert whole == central_window(40, 40) and whole.height == 35


def test_other_limits_of_the_area_are_kept():
    for uniforms in np.random.default_rng(3).random((200, windows.N_UNIFORMS)).tolist():
        window = sample_window(300, 200, uniforms, area_range=(0.5, 0.6))
        assert 0.5 <= window.height * window.width / 60_000 <= 0.6


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (64, 48)])
def test_windows_stay_within_their_limits_and_are_uniform(size):
    n, (height, width) = 4000, size
    draws = np.random.default_rng(4).random((n, windows.N_UNIFORMS)).tolist()
    drawn = [sample_window(height, width, uniforms) for uniforms in draws]
    shares, tops = [], []
    for window in drawn:
        assert window.top + window.height <= height and window.left + window.width <= width
        assert min(window.top, window.left) >= 0
        assert 0.1 <= window.height * window.width / (height * width) <= 1
        slack = 0.51 / window.height  # widths are whole numbers
        aspect = window.width / window.height
        assert 3 / 4 - slack <= aspect <= 4 / 3 + slack
        # The height's place among those possible for this aspect ratio.
        lowest = math.sqrt(0.1 * height * width / aspect)
        highest = min(math.sqrt(height * width / aspect), height, width / aspect)
        shares.append((window.height - lowest + 0.5) / (highest - lowest + 1))
        if window.height < height:
            tops.append((window.top + 0.5) / (height - window.height))
    for values in (shares, tops):
        counts = np.histogram(values, bins=10, range=(0, 1))[0]
        deviation = math.sqrt(len(values) * 0.1 * 0.9)
        # Small images have few heights, which fall unevenly into ten bins.
        slack = 5 * deviation if height > 100 else 0.04 * n
        assert np.abs(counts - len(values) / 10).max() < slack, counts


def test_a_random_crop_is_its_window_resized_and_flipped():
    image = np.random.default_rng(5).integers(0, 256, (100, 130, 3)).astype(np.uint8)
    uniforms = np.random.default_rng(6).random(crop.N_UNIFORMS).tolist()
    window = sample_window(100, 130, uniforms)
    part = image[window.top :, window.left :][: window.height, : window.width]
    for flip, is_flipped in ((FLIPPED, True), (UNFLIPPED, False)):
        uniforms[-1] = flip
        made = random_crop(image, uniforms)
        assert made.shape == (224, 224, 3)
        np.testing.assert_array_equal(made, resize(part, 224, is_flipped=is_flipped))
        np.testing.assert_array_equal(made, random_crop(image, uniforms))
    assert random_crop(image, uniforms, n_side=32).shape == (32, 32, 3)


def test_normalizing_takes_the_mean_and_the_deviation_of_each_colour():
    image = np.random.default_rng(7).uniform(-20, 275, (224, 224, 3)).astype(np.float32)
    out = np.empty_like(image)
    normalize(image, out)
    wanted = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(out, wanted, atol=1e-5)
    normalize(image, image)
    np.testing.assert_array_equal(image, out)
