"""The sentence pairs of a split, checked, in AlgoPerf's order, readable at any place.

Letters: N pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.wmt.order import interleaved, read_order
from workloads.wmt.raw_text import Lines

N_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPairs:
    """Pairs of lines of several files."""

    parts: Sequence[tuple[Lines, Lines]]
    part_N: NDArray[np.int32]
    line_N: NDArray[np.int64]
    n_empty: int
    """Pairs left out because a side is empty."""
    n_bytes: int
    """Of the pairs kept."""

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.line_N)

    def at(self, places: NDArray[np.int64], side: int) -> list[bytes]:
        """Give one side (0 German, 1 English) of the pairs at these places."""
        texts: list[bytes] = [b""] * len(places)
        part_N, line_N = self.part_N[places], self.line_N[places]
        for i, lines in enumerate(self.parts):
            of_part = np.flatnonzero(part_N == i)
            found = lines[side].at(line_N[of_part])
            for place, text in zip(of_part.tolist(), found, strict=True):
                texts[place] = text
        return texts

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Give the pairs in order."""
        for start in range(0, len(self), N_AT_ONCE):
            places = np.arange(start, min(start + N_AT_ONCE, len(self)))
            yield from zip(self.at(places, 0), self.at(places, 1), strict=True)


def pair_up(
    split: str, parts: Sequence[tuple[str, Lines, Lines]], *, is_stored: bool = False
) -> TextPairs:
    """Pair the lines of named parts; raises DataError where files do not go together.

    As TensorFlow Datasets does, pairs of which a side is empty are left out. `is_stored` parts are
    its shards, whose order it has made.
    """
    keys: list[tuple[str, NDArray[np.int64]]] = []
    lengths: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    n_all = 0
    for name, source, target in parts:
        if len(source) != len(target):
            raise DataError(
                f"{source.name} has {len(source):,} lines and {target.name} {len(target):,}; line "
                "by line they must be translations: download both again"
            )
        n_bytes = source.lengths(), target.lengths()
        kept = np.flatnonzero((n_bytes[0] > 0) & (n_bytes[1] > 0))
        keys.append((name, kept))
        lengths.append((n_bytes[0][kept], n_bytes[1][kept]))
        n_all += len(source)
    sides = [np.concatenate(side) for side in zip(*lengths, strict=True)]
    if not len(sides[0]):
        raise DataError(f"{split}: {parts[0][1].name} and its like hold no sentence pair")
    if is_stored:
        order_N = interleaved([len(kept) for _, kept in keys])
    else:
        order_N = read_order(split, keys, sides)
    part_N = np.repeat(np.arange(len(parts), dtype=np.int32), [len(kept) for _, kept in keys])
    line_N = np.concatenate([kept for _, kept in keys])
    return TextPairs(
        parts=[(source, target) for _, source, target in parts],
        part_N=part_N[order_N],
        line_N=line_N[order_N],
        n_empty=n_all - len(line_N),
        n_bytes=int(sides[0].sum() + sides[1].sum()),
    )
