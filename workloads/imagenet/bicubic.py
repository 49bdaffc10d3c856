"""Bicubic resizing with Keys' kernel (a = -1/2), as TF's tf.image.resize without antialias.

Letters: H and W the sides of an image, C colours, N pixels along a side before and M after
resizing, K = 4 taps of the kernel.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

N_TAPS = 4
TAPS_K = np.arange(-1, 3)
"""The pixels that a value depends on, relative to the last one at or before its place."""


def resize(pixels_HWC: NDArray[np.uint8], side: int, *, is_flipped: bool) -> NDArray[np.float32]:
    """Give the image in `side` x `side` pixels: [side, side, 3] float32, not clipped.

    Pixels' centres lie at halves. `is_flipped` swaps left and right. cv2's INTER_CUBIC would be
    a = -3/4, which is another kernel. TF rounds places to 1/1024 of a pixel; here they are exact,
    which moves values by 0.2 of 255 at most.
    """
    height, width, n_colours = pixels_HWC.shape
    down_MH, across_MW = weights(height, side), weights(width, side, is_reversed=is_flipped)
    # Every array is let go as soon as it is used: what an image does not need twice is not taken
    # from the kernel, and cleared by it, once more for the next one.
    values = down_MH @ np.asarray(pixels_HWC, np.float32, order="C").reshape(height, -1)
    # The same again along the width, which a transposition makes the first axis.
    values = cv2.transpose(values.reshape(side, width, n_colours)).reshape(width, -1)
    values = across_MW @ values
    return np.asarray(cv2.transpose(values.reshape(side, side, n_colours)), np.float32)


def weights(n_before: int, n_after: int, *, is_reversed: bool = False) -> csr_array:
    """Give the matrix [M, N], float32, that resizes one side; every row sums to 1.

    Taps beyond an edge weigh nothing, and the others are scaled up to a sum of 1, as in TF's
    resize_bicubic_op.cc with half-pixel centres. `is_reversed` gives the outputs from the last
    to the first.
    """
    places_M = (np.arange(n_after) + 0.5) * (n_before / n_after) - 0.5
    if is_reversed:
        places_M = places_M[::-1]
    left_M = np.floor(places_M)
    indices_MK = left_M.astype(np.int32)[:, None] + TAPS_K.astype(np.int32)
    weights_MK = keys_kernel((places_M - left_M)[:, None] - TAPS_K)
    weights_MK[(indices_MK < 0) | (indices_MK >= n_before)] = 0
    weights_MK /= weights_MK.sum(1, keepdims=True)
    indices_MK = indices_MK.clip(0, n_before - 1)  # a row may name a pixel twice, once with 0
    starts = np.arange(0, N_TAPS * n_after + 1, N_TAPS, dtype=np.int32)
    entries = (weights_MK.astype(np.float32).ravel(), indices_MK.ravel(), starts)
    return csr_array(entries, shape=(n_after, n_before))


def keys_kernel(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the weight of pixels at `distances` in [-2, 2] (Keys 1981, equation 15)."""
    s = np.abs(distances)
    near = (1.5 * s - 2.5) * s * s + 1
    far = ((-0.5 * s + 2.5) * s - 4) * s + 2
    return np.where(s <= 1, near, far)
