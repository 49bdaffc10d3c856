"""Pairs as tokens, block by block on the disk, so that an interrupted preparation goes on.

Letters: N pairs of a block.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.manifests import crc_of
from workloads.wmt.files import SIDES
from workloads.wmt.text_pairs import TextPairs
from workloads.wmt.tokens import Tokenizer

N_PER_BLOCK = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """The tokens of neighbouring pairs, without those too long."""

    inputs: NDArray[np.uint16]
    targets: NDArray[np.uint16]
    lengths_N4: NDArray[np.uint16]
    """Tokens of input and target, and known ones among them."""
    kept_N: NDArray[np.int64]
    """The pairs' places in the split's text."""


def count_blocks(pairs: TextPairs) -> int:
    """Give into how many blocks a split is cut."""
    return -(-len(pairs) // N_PER_BLOCK)


def write_block(
    pairs: TextPairs, number: int, path: Path, tokenizer: Tokenizer, cut: tuple[int, int]
) -> None:
    """Write a block, unless it is there; `cut` is (tokens of a sentence at most, threads)."""
    if path.is_file():
        return
    max_length, n_threads = cut
    start = number * N_PER_BLOCK
    places = np.arange(start, min(start + N_PER_BLOCK, len(pairs)))
    sides = [
        tokenizer.encode([text.decode() for text in pairs.at(places, side)], n_threads)
        for side in range(len(SIDES))
    ]
    lengths_N2 = np.array([list(map(len, side)) for side in sides]).T
    is_kept_N = (lengths_N2 <= max_length).all(axis=1)
    arrays, known = {}, []
    for name, sentences in zip(SIDES, sides, strict=True):
        kept = [ids for ids, keep in zip(sentences, is_kept_N, strict=True) if keep]
        arrays[name] = np.fromiter(chain.from_iterable(kept), np.uint16)
        known.append([len(ids) - ids.count(0) for ids in kept])
    lengths_N4 = np.concatenate([lengths_N2[is_kept_N], np.array(known).T.reshape(-1, 2)], axis=1)
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        np.savez(
            file, lengths=lengths_N4.astype(np.uint16), kept=places[is_kept_N], **arrays
        )  # the file format sums each array
    aside.replace(path)


def read_block(path: Path) -> Block | None:
    """Read a block; None if it is damaged, after deleting it."""
    try:
        with np.load(path) as arrays:
            return Block(
                inputs=arrays["inputs"],
                targets=arrays["targets"],
                lengths_N4=arrays["lengths"],
                kept_N=arrays["kept"],
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)
        return None


class ArrayFile:
    """A .npy file written piece by piece, of a length known at the start."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self._array = np.lib.format.open_memmap(path, "w+", np.uint16, shape)
        self._done = 0

    def append(self, piece: NDArray[np.uint16]) -> None:
        """Write the next piece."""
        self._array[self._done : self._done + len(piece)] = piece
        self._done += len(piece)

    def finish(self) -> tuple[int, int]:
        """Bring all to the disk; gives bytes and crc32."""
        self._array.flush()
        return self.path.stat().st_size, crc_of(self.path)
