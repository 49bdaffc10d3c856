"""The operations of RandAugment on levels and colours, as AlgoPerf v0.6 jax's.

Sources: imagenet_resnet/imagenet_jax/randaugment.py at magnitude 10 of 10; README.md lists where
AlgoPerf's torch differs. They take and give images [H, W, 3] uint8.

Letters: H and W the sides of an image, C colours, R the bytes in a row, L = 256 levels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

POSTERIZE_MASK = 0xF0  # four bits
SOLARIZE_ADDITION, SOLARIZE_LIMIT = 110, 128
CONTRAST_GREY = 196
"""AlgoPerf jax divides its histogram's sum by 256 instead of averaging: 224 · 224 / 256."""
# Blends are x + 0.9 (x - other) = (19 x - 9 other) / 10, clipped, then truncated: factor 1.9.
SELF_TENTHS, OTHER_TENTHS = 19, 9
# TF's rgb_to_grayscale scales to [0, 1], weighs, scales back by 255.5 and truncates.
GREY_1C = np.array([[0.2989, 0.5870, 0.1140]], np.float32) * np.float32(255.5 / 255)
SMOOTHING = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
TRUNCATION = -0.46
"""cv2 rounds; with this added, whole numbers of tenths and of thirteenths round to their floor."""


def auto_contrast(image_HWC: Image) -> Image:
    """Stretch each colour to [0, 255]; a colour of one level stays."""
    width, n_colours = image_HWC.shape[1:]
    rows_HR = image_HWC.reshape(len(image_HWC), -1)  # numpy is slow over a last axis of three
    low_C = rows_HR.min(0).reshape(width, n_colours).min(0).astype(np.float32)
    high_C = rows_HR.max(0).reshape(width, n_colours).max(0).astype(np.float32)
    # In float32 and in this order, as AlgoPerf: truncation shows the last bit.
    scale_C = np.float32(255) / np.maximum(high_C - low_C, 1)
    table_LC = np.arange(256, dtype=np.float32)[:, None] * scale_C - low_C * scale_C
    table_LC = np.where(high_C > low_C, table_LC.clip(0, 255), np.arange(256)[:, None])
    return _look_up(image_HWC, table_LC.astype(np.uint8))


def equalize(image_HWC: Image) -> Image:
    """Spread the levels of each colour so that they are about equally frequent, as PIL."""
    table_LC = np.empty((256, image_HWC.shape[2]), np.uint8)
    for colour in range(image_HWC.shape[2]):
        counts_L = cv2.calcHist([image_HWC], [colour], None, [256], [0, 256]).ravel().astype(int)
        step = int(counts_L.sum() - counts_L[counts_L.nonzero()[0][-1]]) // 255
        if step:
            below_L = np.cumsum(counts_L) - counts_L
            table_LC[:, colour] = ((below_L + step // 2) // step).clip(0, 255)
        else:
            table_LC[:, colour] = np.arange(256)
    return _look_up(image_HWC, table_LC)


def invert(image_HWC: Image) -> Image:
    """Turn black into white."""
    return ~image_HWC


def posterize(image_HWC: Image) -> Image:
    """Keep the upper four bits."""
    return image_HWC & np.uint8(POSTERIZE_MASK)


def solarize_add(image_HWC: Image) -> Image:
    """Add 110 to what is below 128."""
    levels_L = np.arange(256, dtype=np.uint8)
    table_L = np.where(levels_L < SOLARIZE_LIMIT, levels_L + SOLARIZE_ADDITION, levels_L)
    return _look_up(image_HWC, table_L)


def color(image_HWC: Image) -> Image:
    """Move away from grey."""
    grey_HW = cv2.transform(image_HWC.astype(np.float32), GREY_1C).astype(np.uint8)
    grey_HWC = cv2.cvtColor(grey_HW, cv2.COLOR_GRAY2RGB)
    return _blend(np.asarray(grey_HWC, np.uint8), image_HWC)


def contrast(image_HWC: Image) -> Image:
    """Move away from the level 196."""
    return _look_up(image_HWC, _blend_table(CONTRAST_GREY))


def brightness(image_HWC: Image) -> Image:
    """Move away from black."""
    return _look_up(image_HWC, _blend_table(0))


def sharpness(image_HWC: Image) -> Image:
    """Move away from a smoothed image; the outermost pixels stay."""
    smooth_HWC = cv2.filter2D(image_HWC, -1, SMOOTHING, delta=TRUNCATION)
    sharp_HWC = _blend(np.asarray(smooth_HWC, np.uint8), image_HWC)
    for edge in (0, -1):
        sharp_HWC[edge] = image_HWC[edge]
        sharp_HWC[:, edge] = image_HWC[:, edge]
    return sharp_HWC


def _blend(other_HWC: Image, image_HWC: Image) -> Image:
    """Move the image away from the other one: factor 1.9."""
    weight, other_weight = SELF_TENTHS / 10, -OTHER_TENTHS / 10
    blended = cv2.addWeighted(image_HWC, weight, other_HWC, other_weight, TRUNCATION)
    return np.asarray(blended, np.uint8)


def _blend_table(other: int) -> Image:
    """Give the table [256] that moves levels away from the level `other`."""
    levels_L = np.arange(256)
    blended_L = (SELF_TENTHS * levels_L - OTHER_TENTHS * other) // 10
    return blended_L.clip(0, 255).astype(np.uint8)


def _look_up(image_HWC: Image, table: Image) -> Image:
    """Give what the table [256], or [256, C] by colour, has for the levels."""
    return np.asarray(cv2.LUT(image_HWC, table.reshape(256, 1, -1)), np.uint8)
