"""RandAugment as AlgoPerf trains its ViT: two of sixteen operations per image, at full strength.

It is AlgoPerf v0.6 jax's (imagenet_resnet/imagenet_jax/randaugment.py), because the targets were
set there. Its random numbers are ours: AlgoPerf's signs and cutouts do not follow its seed.

Letters: H and W the sides of an image, C colours, U uniform numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from workloads.imagenet import levels, moves

Image = NDArray[np.uint8]

N_LAYERS = 2
# Per layer: which operation; its sign, or the row of the cutout's centre; the column of that.
N_UNIFORMS_PER_LAYER = 3
N_UNIFORMS = N_LAYERS * N_UNIFORMS_PER_LAYER

OF_LEVELS: Mapping[str, Callable[[Image], Image]] = {
    "auto_contrast": levels.auto_contrast,
    "equalize": levels.equalize,
    "invert": levels.invert,
    "posterize": levels.posterize,
    "solarize": levels.invert,  # its threshold, 256, is 0 as uint8: nothing lies below
    "color": levels.color,
    "contrast": levels.contrast,
    "brightness": levels.brightness,
    "sharpness": levels.sharpness,
    "solarize_add": levels.solarize_add,
}
OF_PLACES: Mapping[str, Callable[[Image, int], Image]] = {
    "rotate": moves.rotate,
    "shear_x": moves.shear_x,
    "shear_y": moves.shear_y,
    "translate_x": moves.translate_x,
    "translate_y": moves.translate_y,
}
CUTOUT = "cutout"
OPERATIONS = (*OF_LEVELS, *OF_PLACES, CUTOUT)
"""Equally likely."""


def randaugment(
    values_HWC: NDArray[np.float32], uniforms_U: Sequence[float]
) -> NDArray[np.float32]:
    """Give the augmented image: float32, whole numbers in [0, 255].

    `values_HWC` are pixels around [0, 255], clipped and truncated before. `uniforms_U` holds
    N_UNIFORMS = 6 numbers in [0, 1): per layer 0 chooses the operation, 1 its sign (below 1/2 is
    +) or the row of the cutout's centre, 2 the column of that.
    """
    image_HWC = np.clip(values_HWC, 0, 255).astype(np.uint8)
    for first in range(0, N_UNIFORMS, N_UNIFORMS_PER_LAYER):
        chosen, second, third = uniforms_U[first : first + N_UNIFORMS_PER_LAYER]
        name = OPERATIONS[int(chosen * len(OPERATIONS))]
        image_HWC = apply(name, image_HWC, second, third)
    return image_HWC.astype(np.float32)


def apply(name: str, image_HWC: Image, second: float, third: float) -> Image:
    """Give the image [H, W, 3] after one operation; both numbers are uniform in [0, 1)."""
    if name in OF_LEVELS:
        return OF_LEVELS[name](image_HWC)
    if name in OF_PLACES:
        return OF_PLACES[name](image_HWC, 1 if second < 0.5 else -1)
    height, width = image_HWC.shape[:2]
    return moves.cutout(image_HWC, int(second * height), int(third * width))
