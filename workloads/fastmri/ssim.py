"""The structural similarity of reconstructed slices (Wang et al. 2004), as AlgoPerf v0.6's fastMRI.

Letters: B batch, S the side of an image, T = S - 6 the side of the map of windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Batch, LossValue, Partial
from workloads.fastmri.scans import CLIP

WINDOW = 7
K1, K2 = 0.01, 0.03
SAMPLE_FACTOR = WINDOW**2 / (WINDOW**2 - 1)
"""Turns a covariance of the population into that of a sample."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """SSIM and mean loss over a split, from images [B, S, S] and a batch of fastMRI's.

    `ssim` decides: AlgoPerf measures it against the target as the loss sees it, cut off at six
    deviations of the input. `ssim_clean` is measured against the target in the file. Both are sums
    over the slices divided by the split's size.
    """

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give the weighted sums of both similarities and of the loss, in float64."""
        weights_B = batch["weights"].astype(np.float64)
        sums = {"ssim": 0.0, "ssim_clean": 0.0}
        for row in np.flatnonzero(weights_B):
            mean, std = float(batch["mean"][row]), float(batch["std"][row])
            data_range = float(batch["volume_max"][row])
            target = batch["targets"][row]
            image = outputs[row].astype(np.float64) * std + mean
            value = clean = ssim(image, target.astype(np.float64) * std + mean, data_range)
            if target.max() >= CLIP or target.min() <= -CLIP:  # otherwise the two are the same
                clean = ssim(image, batch["references"][row].astype(np.float64), data_range)
            sums["ssim"] += weights_B[row] * value
            sums["ssim_clean"] += weights_B[row] * clean
        return {
            **{name: np.float64(value) for name, value in sums.items()},
            "loss": np.float64(loss.per_example.astype(np.float64) @ weights_B),
        }

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        """Divide by the split's size."""
        return {name: float(value) / n_examples for name, value in partial.items()}


def ssim(left_SS: NDArray[np.float64], right_SS: NDArray[np.float64], data_range: float) -> float:
    """Give the mean similarity of two images over all windows of 7x7 pixels that lie inside them.

    A range of 0 stands for 1. The result is cut off at ±1, as AlgoPerf's.
    """
    scale = data_range or 1.0
    c1, c2 = (K1 * scale) ** 2, (K2 * scale) ** 2
    left_TT, right_TT = _means(left_SS), _means(right_SS)
    products_TT = left_TT * right_TT
    squares_TT = left_TT**2 + right_TT**2
    variances_TT = SAMPLE_FACTOR * (_means(left_SS**2 + right_SS**2) - squares_TT)
    covariance_TT = SAMPLE_FACTOR * (_means(left_SS * right_SS) - products_TT)
    similar_TT = (2 * products_TT + c1) * (2 * covariance_TT + c2)
    similar_TT /= (squares_TT + c1) * (variances_TT + c2)
    return float(np.clip(similar_TT.mean(), -1.0, 1.0))


def _means(image_SS: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the mean of every window that lies inside the image, [T, T]."""
    import cv2  # a tenth of a second, which naming a workload should not cost

    border = WINDOW // 2
    means: NDArray[np.float64] = cv2.blur(image_SS, (WINDOW, WINDOW))
    return means[border:-border, border:-border]
