"""Seeds: one per trial, children by name, and one per example for the input pipeline."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the constants of SplitMix64 (Steele et al. 2014)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Seed:
    """A 63-bit seed with named children; 0 is a seed like any other.

    >>> Seed(0).child("data") == Seed(0).child("data")
    True
    """

    value: int

    def child(self, *names: str | int) -> Seed:
        """Give the seed that `names` lead to; different names give unrelated seeds."""
        text = "/".join([str(self.value), *(f"{type(n).__name__}:{n}" for n in names)])
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return Seed(int.from_bytes(digest, "little") >> 1)

    @property
    def int31(self) -> int:
        """A seed in [0, 2**31), for libraries that take no more."""
        return self.value % 2**31

    def generator(self) -> np.random.Generator:
        """Give a numpy generator started from this seed."""
        return np.random.Generator(np.random.Philox(self.value))


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers (the finaliser of SplitMix64), elementwise."""
    x = (values ^ (values >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def example_seeds(seed: int, epoch: int, indices_B: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give one seed per example, f(seed, epoch, index); shape [B], dtype uint64."""
    of_seed = mix(np.full(1, seed, np.uint64) + _GOLDEN)
    of_epoch = mix(of_seed + np.full(1, epoch, np.uint64) * _GOLDEN)
    return mix(of_epoch + (indices_B.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def uniform(seeds_B: NDArray[np.uint64], stream: int) -> NDArray[np.float64]:
    """Give the `stream`-th uniform number in [0, 1) of every example's seed; shape [B]."""
    offset = np.full(1, stream + 1, np.uint64) * _GOLDEN  # arrays wrap around, scalars warn
    bits = mix(seeds_B + offset)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
