"""Packing: several sentence pairs in one training row, as AlgoPerf does it, at any row.

Pairs are taken in groups; a row takes the pairs of a group in order while both sides fit, and ends
with its group. Nothing is searched and nothing reordered, so a row is a run of neighbouring pairs,
and all that packing has to remember is where rows begin. Source: AlgoPerf v0.6, wmt,
input_pipeline.py.

Letters: N pairs, R rows, P the pairs of some rows, T their tokens, B rows of a batch, L a row's
length, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_PER_GROUP = 256  # AlgoPerf v0.6: sentences packed at a time


def pack(lengths_N2: NDArray[np.uint16], max_length: int) -> NDArray[np.int64]:
    """Give the first pair of every row, and the number of pairs at the end; shape R + 1.

    `lengths_N2` are the tokens of both sides, none more than `max_length`.
    """
    n_pairs = len(lengths_N2)
    n_groups = -(-n_pairs // N_PER_GROUP)
    lengths_GN2 = np.zeros((n_groups * N_PER_GROUP, 2), np.int32)
    lengths_GN2[:n_pairs] = lengths_N2
    lengths_GN2 = lengths_GN2.reshape(n_groups, N_PER_GROUP, 2)
    starts_GN = np.zeros((n_groups, N_PER_GROUP), np.bool_)
    starts_GN[:, 0] = True
    filled_G2 = lengths_GN2[:, 0].copy()
    for i in range(1, N_PER_GROUP):
        filled_G2 += lengths_GN2[:, i]
        is_new_G = (filled_G2 > max_length).any(axis=1)
        starts_GN[:, i] = is_new_G
        filled_G2[is_new_G] = lengths_GN2[is_new_G, i]
    return np.append(np.flatnonzero(starts_GN.ravel()[:n_pairs]), n_pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """The pairs of some rows: which, in which row, and how manieth there."""

    pairs_P: NDArray[np.int64]
    rows_P: NDArray[np.int64]
    numbers_P: NDArray[np.int64]
    """Counted from 1 in every row."""


def place(firsts_B: NDArray[np.int64], stops_B: NDArray[np.int64]) -> Placed:
    """Place the pairs from `firsts_B` to before `stops_B` into a row each."""
    counts_B = stops_B - firsts_B
    rows_P = np.repeat(np.arange(len(counts_B)), counts_B)
    in_row_P = np.arange(len(rows_P)) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)
    return Placed(pairs_P=firsts_B[rows_P] + in_row_P, rows_P=rows_P, numbers_P=in_row_P + 1)


def fill(
    tokens: NDArray[np.uint16],
    starts_P: NDArray[np.int64],
    lengths_P: NDArray[np.int64],
    placed: Placed,
    shape: tuple[int, int],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Give ids, positions and segments of one side of some rows; each [B, L] int32.

    `starts_P` are the places in `tokens` of the pairs' first tokens. A segment is the number of its
    pair in the row, and 0 where the id is 0: in padding, and at an unknown token.
    """
    before_P = np.cumsum(lengths_P) - lengths_P  # tokens of all pairs before, of other rows too
    # numbers are 1 for the first pair of a row: what stands before it, for all pairs of the row
    row_before_P = np.maximum.accumulate(np.where(placed.numbers_P == 1, before_P, 0))
    columns_P = before_P - row_before_P
    positions_T = np.arange(int(lengths_P.sum())) - np.repeat(before_P, lengths_P)
    ids_T = tokens[np.repeat(starts_P, lengths_P) + positions_T]
    places_T = np.repeat(placed.rows_P * shape[1] + columns_P, lengths_P) + positions_T
    segments_T = np.where(ids_T != 0, np.repeat(placed.numbers_P, lengths_P), 0)
    ids, positions, segments = (np.zeros(shape, np.int32) for _ in range(3))
    ids.reshape(-1)[places_T] = ids_T
    positions.reshape(-1)[places_T] = positions_T
    segments.reshape(-1)[places_T] = segments_T
    return ids, positions, segments
