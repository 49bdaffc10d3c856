"""AlgoPerf's quasirandom points: a scrambled, shifted Halton sequence.

Legend of dimensions: N points, K hyperparameters.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import SpaceError

# AlgoPerf v0.5 and v0.6, halton.py: bases are odd primes under 1000, the first 100 points go.
PRIMES_BELOW = 1000
N_DROPPED = 100


def unit_points(n_dimensions: int, n_points: int) -> NDArray[np.float64]:
    """Give the first points of AlgoPerf's sequence, float64 [N, K] in [0, 1), in draw order.

    The numbers are AlgoPerf's to the last digit. AlgoPerf then shuffles the order of the points
    with an unseeded generator; we keep the draw order, so that a plan can be drawn again. Fewer
    points are therefore always a prefix of more. Raises SpaceError for fewer than one dimension
    or point, and for more dimensions than there are bases (166).
    Source: AlgoPerf v0.5 and v0.6, halton.py (Owen 2017 for the randomised Halton sequence).
    """
    if n_points < 1:
        raise SpaceError(f"cannot draw {n_points} points; ask for at least 1")
    return np.stack([_coordinates(base, n_points) for base in _bases(n_dimensions)], axis=1)


def _bases(n_dimensions: int) -> list[int]:
    """The `n_dimensions` odd primes just below the largest odd prime under 1000, rising."""
    primes = [n for n in range(3, PRIMES_BELOW, 2) if _is_odd_prime(n)]
    usable = primes[:-1]  # the slice primes[-d-1:-1] of AlgoPerf leaves the largest one out
    if not 1 <= n_dimensions <= len(usable):
        raise SpaceError(
            f"a search space of {n_dimensions} hyperparameters cannot be drawn from; "
            f"it must have 1 to {len(usable)}"
        )
    return usable[-n_dimensions:]


def _is_odd_prime(odd: int) -> bool:
    return all(odd % divisor for divisor in range(3, math.isqrt(odd) + 1, 2))


def _coordinates(base: int, n_points: int) -> NDArray[np.float64]:
    """One dimension: the radical inverse in `base` with its digits permuted, shifted modulo 1.

    With i = sum of d_j base^j, the coordinate is (sum of permutation[d_j] / base^(j+1)) + shift.
    Permutation (digit 0 stays) and shift come, in this order, from numpy's legacy generator
    seeded with the base; numpy has frozen its stream.
    """
    generator = np.random.RandomState(base)
    permutation = np.arange(base)
    generator.shuffle(permutation[1:])
    shift = generator.random_sample()
    indices_N = np.arange(1 + N_DROPPED, 1 + N_DROPPED + n_points)
    inverses_N = np.zeros(n_points)
    denominator = base
    while indices_N.any():
        inverses_N += permutation[indices_N % base] / denominator
        denominator *= base
        indices_N //= base
    return np.fmod(inverses_N + shift, 1.0)
