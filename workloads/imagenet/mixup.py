"""Mixup (Zhang et al. 2018): every example is blended with the one before it in its batch.

Letters: S rows of a rank's slice, P = S + 1 rows with the one before the slice, K classes.
"""

from __future__ import annotations

import numpy as np

from pacebench.spec import Batch

ALPHA = 0.2  # AlgoPerf v0.6, imagenet_vit (both frameworks); facts_vision.md 1.4
N_CLASSES = 1000


def mixup(rows: Batch, seed: int, n_classes: int = N_CLASSES) -> Batch:
    """Give the slice's rows mixed: inputs [S, ...] float32, targets [S, K] float32.

    `rows` has inputs [P, ...] float32 and targets [P] int64 in [0, K): the row before the slice
    (before the first row of the global batch, its last), then the slice. With one weight w for
    the global batch, inputs and one-hot targets become w x + (1 - w) (the row before), AlgoPerf
    v0.6 jax's w x + (1 - w) roll(x, 1). `seed` is the global batch's, so that all ranks give
    their rows of one global result. The memory of `rows` is used for the result.
    """
    weight = mixup_weight(seed)
    rest = np.float32(1) - weight
    inputs_P = rows["inputs"]
    for row in range(len(inputs_P) - 1, 0, -1):  # from the last one: no row is needed changed
        inputs_P[row] *= weight
        inputs_P[row] += rest * inputs_P[row - 1]
    one_hot_PK = np.zeros((len(inputs_P), n_classes), np.float32)
    one_hot_PK[np.arange(len(inputs_P)), rows["targets"]] = 1
    targets_SK = weight * one_hot_PK[1:] + rest * one_hot_PK[:-1]
    return {**rows, "inputs": inputs_P[1:], "targets": targets_SK}


def mixup_weight(seed: int) -> np.float32:
    """Give the weight of a batch in [0, 1], drawn from Beta(0.2, 0.2); its seed is below 2**63."""
    generator = np.random.Generator(np.random.Philox(seed))
    return np.float32(generator.beta(ALPHA, ALPHA))
