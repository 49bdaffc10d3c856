"""From the bytes of an image file to the crop that a model sees.

Letters: H and W the sides of an image, S the side of a crop, C colours (red, green, blue), R = S·C
the values in a row of a crop, U uniform numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.imagenet import windows
from workloads.imagenet.bicubic import resize

# AlgoPerf v0.6, imagenet_resnet: the side of a crop; mean and deviation per colour of pixels in
# [0, 1], which its jax multiplies by 255.
N_SIDE = 224
MEAN_C = 255 * np.array([0.485, 0.456, 0.406], np.float32)
STDDEV_C = 255 * np.array([0.229, 0.224, 0.225], np.float32)
FLIP = windows.N_UNIFORMS
N_UNIFORMS = windows.N_UNIFORMS + 1
# ITU-T T.81, table B.1: 0xFF and a byte. Within coded data 0xFF is followed by 0 or a restart.
START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE = b"\xff\xd9"
START_OF_SCAN = 0xDA
FILL = 0xFF
# ISO/IEC 15948: the first eight bytes of a PNG, and its last chunk. One training file of
# ILSVRC-2012, n02105855_2933.JPEG, is a PNG; tfds, which feeds AlgoPerf's jax, decodes it as one.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
# Straight to RGB, 8 bits; the rotation noted by a camera is ignored, as TF's decoder does.
FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def random_crop(
    image_HWC: NDArray[np.uint8],
    uniforms_U: Sequence[float],
    n_side: int = N_SIDE,
    area_range: tuple[float, float] = windows.AREA_RANGE,
) -> NDArray[np.float32]:
    """Give a crop for training: [S, S, 3] float32, around [0, 255] but not clipped.

    A random window, resized, and flipped half of the time. `uniforms_U` holds at least
    N_UNIFORMS = 23 numbers in [0, 1): 0 to 21 are for `windows.sample_window`; below 1/2, number
    22 flips.
    """
    height, width = image_HWC.shape[:2]
    window = windows.sample_window(height, width, uniforms_U, area_range)
    return resize(window.cut(image_HWC), n_side, is_flipped=uniforms_U[FLIP] < 0.5)


def central_crop(image_HWC: NDArray[np.uint8], n_side: int = N_SIDE) -> NDArray[np.float32]:
    """Give the crop for evaluation: [S, S, 3] float32, around [0, 255] but not clipped."""
    window = windows.central_window(*image_HWC.shape[:2])
    return resize(window.cut(image_HWC), n_side, is_flipped=False)


def normalize(crop_SSC: NDArray[np.float32], out_SSC: NDArray[np.float32]) -> None:
    """Write (crop - mean) / deviation per colour to `out_SSC`; both float32 and contiguous.

    `crop_SSC` are pixels around [0, 255]. The two may be one array.
    """
    # Whole rows at once: numpy is slow over a last axis of three.
    n_side = len(crop_SSC)
    out_SR = out_SSC.reshape(n_side, -1)
    np.multiply(crop_SSC.reshape(n_side, -1), np.tile(1 / STDDEV_C, n_side), out=out_SR)
    out_SR -= np.tile(MEAN_C / STDDEV_C, n_side)


def decode(data: bytes) -> NDArray[np.uint8]:
    """Give the pixels [H, W, 3] uint8, RGB, of a JPEG or PNG file.

    Grey and CMYK files become RGB. Raises DataError if the file is neither JPEG nor PNG, ends
    before its image does, or cannot be decoded. The caller, who knows it, adds the file's name.
    A JPEG with wrong bytes in its middle passes: its format has no check sums.
    """
    if data.startswith(START_OF_IMAGE):
        if not _has_end(data):
            raise DataError(f"a JPEG of {len(data):,} bytes has no end: the file is cut off")
    elif data.startswith(PNG_SIGNATURE):
        if PNG_END not in data:
            raise DataError(f"a PNG of {len(data):,} bytes has no end: the file is cut off")
    else:
        raise DataError(f"a file of {len(data):,} bytes begins with {data[:8]!r}: no JPEG, no PNG")
    try:
        pixels_HWC = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS)
    except cv2.error as error:
        raise DataError(f"an image of {len(data):,} bytes was refused: {error.err}") from error
    if pixels_HWC is None:
        raise DataError(f"an image of {len(data):,} bytes cannot be decoded")
    return np.asarray(pixels_HWC, np.uint8)


def _has_end(data: bytes) -> bool:
    """Tell whether a JPEG's own end follows its first scan (a thumbnail has an end as well)."""
    if data.endswith(END_OF_IMAGE):
        return True  # nearly always
    position = len(START_OF_IMAGE)
    while position + 4 <= len(data) and data[position] == FILL:
        if data[position + 1] == START_OF_SCAN:
            return data.find(END_OF_IMAGE, position) >= 0
        if data[position + 1] == FILL:  # padding before a marker
            position += 1
        else:  # a segment: its length counts its own two bytes
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False
