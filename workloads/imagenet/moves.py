"""The operations of RandAugment that move pixels or cover them, as AlgoPerf v0.6 jax's.

Sources: imagenet_resnet/imagenet_jax/randaugment.py at magnitude 10 of 10; README.md lists where
AlgoPerf's torch differs. They take and give images [H, W, 3] uint8; what comes from outside the
image is grey. A place between pixels takes the nearest one; in the middle between two it is the
one farther from 0, as C's round, which TF uses.

Letters: H and W the sides of an image, C colours, X = (column, row).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

FILL = 128
ROTATION_DEGREES = 30
SHEAR_TENTHS = 3
# Pixels of a side of 224; images of other sizes (small workloads) keep the share.
TRANSLATION = 100 / 224
CUTOUT_HALF = 40 / 224


def rotate(image_HWC: Image, sign: int) -> Image:
    """Turn by 30 degrees about the centre; + turns against the clock."""
    height, width = image_HWC.shape[:2]
    angle = math.radians(sign * ROTATION_DEGREES)
    cosine, sine = math.cos(angle), math.sin(angle)
    x_W, y_H = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    columns_HW = _grid(cosine * x_W + (width - 1) / 2, -sine * y_H)
    rows_HW = _grid(sine * x_W + (height - 1) / 2, cosine * y_H)
    return _gather(image_HWC, columns_HW, rows_HW)


def shear_x(image_HWC: Image, sign: int) -> Image:
    """Give out[y, x] = in[y, x + sign · 0.3 y]."""
    height, width = image_HWC.shape[:2]
    columns_HW = _grid(np.arange(width), sign * SHEAR_TENTHS * np.arange(height) / 10)
    return _gather(image_HWC, columns_HW, _grid(np.zeros(width), np.arange(height)))


def shear_y(image_HWC: Image, sign: int) -> Image:
    """Give out[y, x] = in[y + sign · 0.3 x, x]."""
    height, width = image_HWC.shape[:2]
    rows_HW = _grid(sign * SHEAR_TENTHS * np.arange(width) / 10, np.arange(height))
    return _gather(image_HWC, _grid(np.arange(width), np.zeros(height)), rows_HW)


def translate_x(image_HWC: Image, sign: int) -> Image:
    """Give out[y, x] = in[y, x + sign · 100]."""
    moved_HWC = np.full_like(image_HWC, FILL)
    n_pixels = round(TRANSLATION * image_HWC.shape[1])
    left, right = moved_HWC[:, : image_HWC.shape[1] - n_pixels], moved_HWC[:, n_pixels:]
    if sign > 0:
        left[:] = image_HWC[:, n_pixels:]
    else:
        right[:] = image_HWC[:, : image_HWC.shape[1] - n_pixels]
    return moved_HWC


def translate_y(image_HWC: Image, sign: int) -> Image:
    """Give out[y, x] = in[y + sign · 100, x]."""
    return translate_x(image_HWC.swapaxes(0, 1), sign).swapaxes(0, 1)


def cutout(image_HWC: Image, row: int, column: int) -> Image:
    """Paint a square of 80 pixels around [row, column] grey; what lies outside is lost."""
    half = round(CUTOUT_HALF * len(image_HWC))
    cut_HWC = image_HWC.copy()
    cut_HWC[max(0, row - half) : row + half, max(0, column - half) : column + half] = FILL
    return cut_HWC


def _grid(along_W: NDArray[Any], down_H: NDArray[Any]) -> NDArray[np.float32]:
    """Give the sum of a number by column and a number by row."""
    return along_W.astype(np.float32) + down_H.astype(np.float32)[:, None]


def _gather(
    image_HWC: Image, columns_HW: NDArray[np.float32], rows_HW: NDArray[np.float32]
) -> Image:
    """Give the pixels nearest to these places."""
    half = np.float32(0.5)  # goes away from 0, and the cast drops the rest
    nearest = [
        (places_HW + np.copysign(half, places_HW)).astype(np.int16)
        for places_HW in (columns_HW, rows_HW)
    ]
    grey, border = (FILL, FILL, FILL), cv2.BORDER_CONSTANT
    moved = cv2.remap(
        image_HWC,
        cv2.merge(nearest),
        np.empty(0),  # only for places between pixels
        cv2.INTER_NEAREST,
        borderMode=border,
        borderValue=grey,
    )
    return np.asarray(moved, np.uint8)
