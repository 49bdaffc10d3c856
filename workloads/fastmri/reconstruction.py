"""From k-space to a normalised image, as AlgoPerf v0.6's fastMRI pipeline, in two halves.

The first half does not depend on the mask: the inverse FFT along the rows' axis, of which only the
rows of the final crop are kept. It gives *hybrid* space: an image along the rows' axis, k-space
along the columns'. A mask keeps or drops whole columns, so it commutes with the first half, which
can then be done once for each slice; every example does the second half.

Both inverse FFTs are centred and orthonormal. Shifting k-space before an inverse FFT only turns the
phase of its result, and we take the magnitude: that shift is left out.

Letters: R rows and W columns of k-space, S the side of the image.
"""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.fastmri.scans import CLIP


def to_hybrid(kspace_RW: NDArray[np.complex64], n_side: int) -> NDArray[np.complex64]:
    """Give the first half, [..., S, W], of k-space [..., R, W]; R is even and at least S."""
    rows = scipy.fft.ifft(kspace_RW, axis=-2, norm="ortho")
    return _centre(rows, n_side, -2)


def reconstruct(hybrid_SW: NDArray[np.complex64], kept_W: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give the magnitude [S, S] of the image of the columns that are kept; W is even."""
    columns = scipy.fft.ifft(hybrid_SW * kept_W, axis=-1, norm="ortho", overwrite_x=True)
    magnitude: NDArray[np.float32] = np.abs(_centre(columns, hybrid_SW.shape[-2], -1))
    return magnitude


def moments(image_SS: NDArray[np.float32]) -> tuple[float, float]:
    """Give mean and deviation (of the population) of the pixels; raises DataError if one is odd."""
    means, deviations = cv2.meanStdDev(image_SS)
    mean, std = float(means[0, 0]), float(deviations[0, 0])
    if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
        raise DataError(f"the image has mean {mean} and deviation {std}; it cannot be normalised")
    return mean, std


def normalize(
    image_SS: NDArray[np.float32], mean: float, std: float, out_SS: NDArray[np.float32]
) -> None:
    """Write (image - mean) / std, cut off at ±6, into `out_SS`."""
    np.subtract(image_SS, np.float32(mean), out=out_SS)
    np.divide(out_SS, np.float32(std), out=out_SS)
    np.clip(out_SS, -CLIP, CLIP, out=out_SS)


def _centre(array: NDArray[np.complex64], n_side: int, axis: int) -> NDArray[np.complex64]:
    """Give the middle `n_side` places of an axis after an fftshift; both lengths are even."""
    ends = np.split(array, [n_side // 2, array.shape[axis] - n_side // 2], axis)
    return np.concatenate([ends[2], ends[0]], axis)
