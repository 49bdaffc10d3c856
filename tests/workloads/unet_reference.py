"""The U-Net of fastmri as loops over pixels in numpy, written from AlgoPerf's description.

Letters: C channels, H and W the sides; parameters come by flax path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def image(
    params: Mapping[str, NDArray[Any]], inputs_HW: NDArray[Any], n_pools: int, **how: Any
) -> Array:
    """Give the output [H, W] for one image; `how`: is_tanh, has_layer_norm."""
    x = inputs_HW.astype(np.float64)[:, :, None]
    skips = []
    for level in range(n_pools):
        x = block(params, f"ConvBlock_{level}", x, **how)
        skips.append(x)
        h, w = x.shape[:2]
        x = np.array(
            [
                [x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].sum((0, 1)) / 4 for j in range(w // 2)]
                for i in range(h // 2)
            ]
        )
    x = block(params, f"ConvBlock_{n_pools}", x, **how)
    for level in range(n_pools):
        kernel = params[f"TransposeConvBlock_{level}/ConvTranspose_0/kernel"].astype(np.float64)
        h, w, _ = x.shape
        y = np.zeros((2 * h, 2 * w, kernel.shape[-1]))
        for i in range(2 * h):
            for j in range(2 * w):
                y[i, j] = x[i // 2, j // 2] @ kernel[1 - i % 2, 1 - j % 2]
        x = activation(instance_norm(y), how["is_tanh"])
        skip = skips.pop()
        if x.shape[0] < skip.shape[0]:
            x = np.concatenate([x, x[-2:-1]])
        if x.shape[1] < skip.shape[1]:
            x = np.concatenate([x, x[:, -2:-1]], axis=1)
        x = block(params, f"ConvBlock_{n_pools + 1 + level}", np.concatenate([x, skip], 2), **how)
    return (x @ params["Conv_0/kernel"][0, 0] + params["Conv_0/bias"])[:, :, 0]


def block(params: Mapping[str, NDArray[Any]], name: str, x: Array, **how: Any) -> Array:
    """Convolve, normalise and activate twice."""
    for i in range(2):
        kernel = params[f"{name}/Conv_{i}/kernel"].astype(np.float64)
        h, w, _ = x.shape
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        y = np.array(
            [
                [np.einsum("klc,klco->o", padded[i : i + 3, j : j + 3], kernel) for j in range(w)]
                for i in range(h)
            ]
        )
        if how["has_layer_norm"]:
            y = (y - y.mean()) / np.sqrt(y.var() + 1e-6)
            norm = f"{name}/LayerNorm_{i}"
            y = y * params[f"{norm}/scale"] + params[f"{norm}/bias"]
        else:
            y = instance_norm(y)
        x = activation(y, how["is_tanh"])
    return x


def instance_norm(x: Array) -> Array:
    """Normalise each channel by its own mean and biased variance."""
    return (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)


def activation(x: Array, is_tanh: bool) -> Array:
    """Apply tanh, or a leaky ReLU of slope 0.2."""
    return np.tanh(x) if is_tanh else np.where(x >= 0, x, 0.2 * x)
