"""Learning-rate schedules as tables of factors, the same numbers for both frameworks.

In torch: `LambdaLR(optimizer, lambda step: at(table, step))`. In jax: `lambda count: peak *
jnp.asarray(table)[count]`, where an index beyond the end gives the last factor too.

Letters: N steps of the step hint, W steps of warmup, s steps made so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import unknown_name

WARMUP_FACTOR = 0.05
"""W / N where nothing else is said; the NadamW baselines' middle value (AlgoPerf v0.5: 0.02,
0.05 or 0.1)."""
COOLDOWN = 0.2
"""Share of the steps after warmup in which "wsd" decays: 20 %, as Hägele et al. 2024
(arXiv:2405.18392, section 4)."""
N_CYCLES = 4
"""Cycles of "cyclic"; Smith (2017, arXiv:1506.01186) advises to end after 3 or more."""
GROWTH = 10.0
"""What "growing" ends at."""

Floats = NDArray[np.float64]


def table(name: str, n_steps: int, warmup_factor: float = WARMUP_FACTOR) -> NDArray[np.float32]:
    """Give the factors of a learning rate after 0, 1, … `n_steps` steps, float32 [N + 1].

    The first W = `warmup_factor` N steps grow evenly (Goyal et al. 2017, arXiv:1706.02677): 1/W,
    2/W, … 1. What follows, over the share x in [0, 1] of the steps after them:

    constant: 1. linear: 1 - x. cosine: (1 + cos πx) / 2 (Loshchilov and Hutter 2017,
    arXiv:1608.03983, without restarts). wsd: 1, then evenly to 0 in the last fifth. cyclic:
    4 triangles between 1 and 1/4 (Smith 2017). growing: 10^x (exponential growth, as Li and Arora
    2020, arXiv:1910.07454, study it). The last factor stands for all later steps. none: [1].

    Raises UnknownNameError, which lists the schedules.
    """
    if name == NONE:
        return np.ones(1, np.float32)
    if name not in _SHAPES:
        raise unknown_name("schedule", name, NAMES)
    n_warmup = max(1, round(warmup_factor * n_steps))
    made = np.arange(n_steps + 1, dtype=np.float64)
    share = np.clip((made - n_warmup) / max(1, n_steps - n_warmup), 0.0, 1.0)
    factors = np.where(made < n_warmup, (made + 1) / n_warmup, _SHAPES[name](share))
    return np.asarray(factors, np.float32)


def at(factors: NDArray[np.float32], step: int) -> float:
    """Give the factor after `step` steps."""
    return float(factors[min(step, len(factors) - 1)])


def _constant(share: Floats) -> Floats:
    return np.ones_like(share)


def _linear(share: Floats) -> Floats:
    return 1 - share


def _cosine(share: Floats) -> Floats:
    return 0.5 * (1 + np.cos(np.pi * share))


def _wsd(share: Floats) -> Floats:
    return np.minimum(1.0, (1 - share) / COOLDOWN)


def _cyclic(share: Floats) -> Floats:
    phase = share * N_CYCLES % 1.0
    return 1 - 0.75 * (1 - np.abs(2 * phase - 1))


def _growing(share: Floats) -> Floats:
    return GROWTH**share


DEFAULT = "cosine"
"""Of a library's optimizer, as of the NadamW baselines (AlgoPerf v0.5)."""
NONE = "none"
"""No schedule and no warmup: the learning rate as it is given."""
_SHAPES: Mapping[str, Callable[[Floats], Floats]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "wsd": _wsd,
    "cyclic": _cyclic,
    "growing": _growing,
}
NAMES = (*_SHAPES, NONE)
