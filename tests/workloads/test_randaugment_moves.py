"""RandAugment's moves: pixels worked out by hand from facts_vision.md 1.4, and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from workloads.imagenet import moves

Image = NDArray[np.uint8]


def ramp(height: int = 224, width: int = 224) -> Image:
    """Pixels that tell their column and row, none of them the fill."""
    image = np.full((height, width, 3), 7, np.uint8)
    image[..., 0] = np.arange(width)[None, :]
    image[..., 1] = np.arange(height)[:, None]
    return image


def place(image: Image, y: int, x: int) -> tuple[int, int] | None:
    """The (row, column) that a pixel of a moved ramp came from, None for fill."""
    column, row, mark = (int(v) for v in image[y, x])
    if mark == 7:
        return row, column
    assert (column, row, mark) == (128, 128, 128)
    return None


def test_a_shear_by_x_reads_three_tenths_of_the_row_to_the_right():
    moved = moves.shear_x(ramp(), 1)
    assert place(moved, 0, 11) == (0, 11)
    assert place(moved, 10, 5) == (10, 8)
    assert place(moved, 4, 0) == (4, 1)  # 1.2
    assert place(moved, 5, 0) == (5, 2)  # 1.5 goes away from 0
    assert place(moved, 100, 193) == (100, 223)
    assert place(moved, 100, 194) is None


def test_a_negative_shear_by_x_fills_the_left_with_grey():
    moved = moves.shear_x(ramp(), -1)
    assert place(moved, 10, 3) == (10, 0)
    assert place(moved, 10, 2) is None
    assert place(moved, 5, 2) == (5, 1)  # 0.5
    assert place(moved, 5, 1) is None  # -0.5 goes away from 0, out of the image
    assert place(moved, 1, 0) == (1, 0)  # -0.3


def test_a_shear_by_y_is_a_shear_by_x_of_the_transposed_image():
    image = np.random.default_rng(2).integers(0, 256, (23, 31, 3)).astype(np.uint8)
    for sign in (1, -1):
        turned = moves.shear_x(np.ascontiguousarray(image.swapaxes(0, 1)), sign).swapaxes(0, 1)
        np.testing.assert_array_equal(moves.shear_y(image, sign), turned)


def test_translations_move_by_100_of_224_pixels():
    right, left = moves.translate_x(ramp(), 1), moves.translate_x(ramp(), -1)
    assert [place(right, 9, x) for x in (0, 123, 124)] == [(9, 100), (9, 223), None]
    assert [place(left, 9, x) for x in (99, 100, 223)] == [None, (9, 0), (9, 123)]
    down, up = moves.translate_y(ramp(), 1), moves.translate_y(ramp(), -1)
    assert [place(down, y, 9) for y in (0, 123, 124)] == [(100, 9), (223, 9), None]
    assert [place(up, y, 9) for y in (99, 100, 223)] == [None, (0, 9), (123, 9)]


def test_a_rotation_turns_by_30_degrees_about_the_centre():
    # From the centre (112, 112) 100 to the right: cos 30 · 100 = 86.6 right, sin 30 · 100 = 50 down
    image = ramp(225, 225)
    assert place(moves.rotate(image, 1), 112, 112) == (112, 112)
    assert place(moves.rotate(image, 1), 112, 212) == (162, 199)
    assert place(moves.rotate(image, -1), 112, 212) == (62, 199)
    assert place(moves.rotate(image, 1), 0, 0) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_rotation_equals_a_plain_loop(sign):
    image, angle = ramp(), math.radians(30 * sign)
    moved = moves.rotate(image, sign)
    for y, x in np.ndindex(224, 224):
        across, down = x - 111.5, y - 111.5
        column = math.cos(angle) * across - math.sin(angle) * down + 111.5
        row = math.sin(angle) * across + math.cos(angle) * down + 111.5
        source = math.floor(row + 0.5), math.floor(column + 0.5)
        is_inside = 0 <= source[0] < 224 and 0 <= source[1] < 224
        assert place(moved, y, x) == (source if is_inside else None), (y, x)


def test_a_cutout_is_80_pixels_wide_and_clipped():
    cut = moves.cutout(ramp(), 100, 10)
    assert [place(cut, y, 0) is None for y in (59, 60, 139, 140)] == [False, True, True, False]
    assert [place(cut, 100, x) is None for x in (0, 49, 50)] == [True, True, False]
    assert (cut == 128).all(-1).sum() == 80 * 50
