"""Which columns of k-space are kept: AlgoPerf's random masks with fourfold acceleration.

W is the number of columns of a slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

CENTRE_FRACTION = np.float32(0.08)  # AlgoPerf v0.6, fastmri: share of columns always kept
ACCELERATION = 4  # AlgoPerf v0.6, fastmri: one column of four is kept

# Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_N_ROUNDS = 10
# The key with which TensorFlow's stateless functions scramble a seed.
_SCRAMBLE_KEY = (0x3EC8F720, 0x02461E29)
_WORD = 0xFFFFFFFF

Words = tuple[int, int, int, int]


def n_low_frequencies(width: int) -> int:
    """Give how many columns in the middle are always kept: truncated, in float32.

    >>> n_low_frequencies(368)
    29
    """
    return int(np.float32(width) * CENTRE_FRACTION)


def kept_columns(uniforms_W: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Give which of W columns are kept, by one uniform number for each (AlgoPerf v0.6)."""
    width = len(uniforms_W)
    n_low = n_low_frequencies(width)
    probability = np.float32(width / ACCELERATION - n_low) / np.float32(width - n_low)
    kept_W = uniforms_W < probability
    start = (width - n_low + 1) // 2
    kept_W[start : start + n_low] = True
    return kept_W


def evaluation_columns(width: int) -> NDArray[np.bool_]:
    """Give the columns kept in every slice of validation and test: seed (0, 0), TensorFlow's."""
    return kept_columns(np.fromiter(islice(_uniforms(0, 0), width), np.float32, width))


def _uniforms(seed_0: int, seed_1: int) -> Iterator[float]:
    """Go through the float32 numbers of TensorFlow's `random.stateless_uniform`."""
    seed = (seed_0 & _WORD, seed_0 >> 32, seed_1 & _WORD, seed_1 >> 32)
    scrambled = _philox(seed, _SCRAMBLE_KEY)
    key = scrambled[0], scrambled[1]
    counter = scrambled[2] << 64 | scrambled[3] << 96
    while True:
        words = [(counter >> shift) & _WORD for shift in (0, 32, 64, 96)]
        for word in _philox((words[0], words[1], words[2], words[3]), key):
            # The 23 bits of a float in [1, 2), less 1.
            yield (word & 0x7FFFFF) / 2**23
        counter = (counter + 1) % 2**128


def _philox(counter: Words, key: tuple[int, int]) -> Words:
    """Give the four words of 32 bits that Philox4x32-10 makes of a counter."""
    for _ in range(_N_ROUNDS):
        first, second = _MULTIPLIERS[0] * counter[0], _MULTIPLIERS[1] * counter[2]
        counter = (
            (second >> 32) ^ counter[1] ^ key[0],
            second & _WORD,
            (first >> 32) ^ counter[3] ^ key[1],
            first & _WORD,
        )
        key = (key[0] + _KEY_STEPS[0]) & _WORD, (key[1] + _KEY_STEPS[1]) & _WORD
    return counter
