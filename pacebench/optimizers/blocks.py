"""How Kronecker-factored methods cut a parameter into blocks of equal shape; pure arithmetic.

Small neighbouring dimensions are merged first, as a convolution's 3×3 positions (Shi et al. 2023,
arXiv:2309.06497, section 3; Anil et al. 2021, arXiv:2002.09018). A dimension longer than the
largest block is then cut into blocks of equal length, the last of which may be filled up with
zeros, which stay zeros under a product with any matrix. The papers' last block is shorter instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """Shapes on the way from a parameter to its blocks [n_blocks, *block]."""

    merged: tuple[int, ...]
    """The parameter's shape with small dimensions merged."""
    counts: tuple[int, ...]
    """How many blocks lie along each merged dimension."""
    block: tuple[int, ...]
    """The shape of a block."""

    @property
    def padded(self) -> tuple[int, ...]:
        """The merged shape filled up to whole blocks."""
        return tuple(n * b for n, b in zip(self.counts, self.block, strict=True))

    @property
    def split(self) -> tuple[int, ...]:
        """Each padded dimension as (count, block)."""
        return tuple(size for pair in zip(self.counts, self.block, strict=True) for size in pair)

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return math.prod(self.counts)

    @property
    def to_blocks(self) -> tuple[int, ...]:
        """The order of the axes of `split` that brings the counts to the front."""
        order = len(self.merged)
        return (*range(0, 2 * order, 2), *range(1, 2 * order, 2))

    @property
    def from_blocks(self) -> tuple[int, ...]:
        """The order of the axes (*counts, *block) that brings them back to `split`."""
        order = len(self.merged)
        return tuple(axis for i in range(order) for axis in (i, order + i))


def cut(shape: Sequence[int], largest: int) -> Blocks:
    """Give the blocks of a parameter of a shape, none longer than `largest` in any dimension."""
    merged = merge(shape, largest)
    counts = tuple(math.ceil(size / largest) for size in merged)
    block = tuple(math.ceil(size / n) for size, n in zip(merged, counts, strict=True))
    return Blocks(merged=merged, counts=counts, block=block)


def merge(shape: Sequence[int], largest: int) -> tuple[int, ...]:
    """Give a shape in which neighbours are multiplied while their product is at most `largest`.

    Dimensions of 1 are left out; what has no other has the shape (1,).
    """
    merged: list[int] = []
    for size in (size for size in shape if size > 1):
        if merged and merged[-1] * size <= largest:
            merged[-1] *= size
        else:
            merged.append(size)
    return tuple(merged) or (1,)
