"""Which part of an image is cropped: a random window for training, the centre for evaluation.

Letters: H and W the sides of an image, C colours, U uniform numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# AlgoPerf v0.6, imagenet_resnet: the centre's share is image size over resize size.
CENTRAL_SHARE = 224 / 256
AREA_RANGE = (0.08, 1.0)
ASPECT_RANGE = (3 / 4, 4 / 3)
# AlgoPerf v0.6, imagenet_resnet/imagenet_jax/input_pipeline.py, the call of TF's sampler.
MIN_OBJECT_COVERED = 0.1
N_ATTEMPTS = 10
# What the uniform numbers are for; attempt k uses 2 + 2k and 3 + 2k.
TOP, LEFT, FIRST_ATTEMPT = 0, 1, 2
N_UNIFORMS = FIRST_ATTEMPT + 2 * N_ATTEMPTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle of pixels within an image."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the pixels within, as a view."""
        rows = slice(self.top, self.top + self.height)
        return image_HWC[rows, self.left : self.left + self.width]


def central_window(height: int, width: int) -> Window:
    """Give the square in the centre, 7/8 of the shorter side (AlgoPerf v0.6 jax)."""
    side = max(1, int(CENTRAL_SHARE * min(height, width)))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return Window(top=top, left=left, height=side, width=side)


def sample_window(
    height: int,
    width: int,
    uniforms_U: Sequence[float],
    area_range: tuple[float, float] = AREA_RANGE,
) -> Window:
    """Give a random window as TF's sample_distorted_bounding_box with the whole image as its box.

    Up to ten attempts: an aspect ratio uniform in [3/4, 4/3), then a height uniform over the
    whole numbers whose area is within `area_range`, as shares of the image, and whose width fits.
    So the area is not uniform: small windows are likelier, and the mean for 375x500 pixels is
    39 %, not 54 %. An attempt below 10 % fails, because AlgoPerf asks for windows that cover that
    much of the box. Places are uniform, but for the last row and column, which TF never draws. If
    all attempts fail, or if the window is the whole image (AlgoPerf takes that for failure), the
    central window is given.

    The sampler and its arguments are AlgoPerf v0.6 jax's (input_pipeline.py); how it samples is
    from TF's sample_distorted_bounding_box_op.cc, in Python's float instead of float32.

    `uniforms_U` holds at least N_UNIFORMS = 22 numbers in [0, 1): 0 places the top, 1 the left,
    2 + 2k is the aspect ratio of attempt k, 3 + 2k its height.
    """
    smallest, largest = ASPECT_RANGE
    for first in range(FIRST_ATTEMPT, N_UNIFORMS, 2):
        aspect = smallest + uniforms_U[first] * (largest - smallest)
        areas = (area_range[0] * height * width, area_range[1] * height * width)
        size = _sample_size((height, width), aspect, areas, uniforms_U[first + 1])
        if size is None or size[0] * size[1] < MIN_OBJECT_COVERED * height * width:
            continue
        if size == (height, width):
            break
        return Window(
            top=int(uniforms_U[TOP] * max(1, height - size[0])),
            left=int(uniforms_U[LEFT] * max(1, width - size[1])),
            height=size[0],
            width=size[1],
        )
    return central_window(height, width)


def _sample_size(
    image_size: tuple[int, int], aspect: float, areas: tuple[float, float], uniform: float
) -> tuple[int, int] | None:
    """Give the height and width of a window with this aspect ratio; None if none fits."""
    height, width = image_size
    lowest, highest = (round(math.sqrt(area / aspect)) for area in areas)
    if round(highest * aspect) > width:  # the greatest height whose width still fits
        highest = int((width + 0.5 - 1e-7) / aspect)  # TF's epsilon
        highest -= round(highest * aspect) > width
    highest = min(highest, height)
    rows = min(lowest, highest)
    rows += int(uniform * (highest - rows + 1))
    # Rounding may have left the limits of the area: one row more, or one less.
    rows += rows * round(rows * aspect) < areas[0]
    rows -= rows * round(rows * aspect) > areas[1]
    columns = round(rows * aspect)
    is_possible = 0 < rows <= height and 0 < columns <= width
    return (rows, columns) if is_possible and areas[0] <= rows * columns <= areas[1] else None
