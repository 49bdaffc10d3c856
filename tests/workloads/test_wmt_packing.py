"""Packing: against a slow reference written from the stated rules, and a row worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from workloads.wmt.packing import N_PER_GROUP, fill, pack, place

Pair = tuple[list[int], list[int]]
Row = dict[str, list[int]]


def slow_rows(pairs: list[Pair], max_length: int) -> list[Row]:
    """Pack as the facts state: in groups, greedily, in order, a sentence cut to as many tokens as
    are not 0."""
    rows: list[Row] = []
    for start in range(0, len(pairs), N_PER_GROUP):
        row: Row | None = None
        for pair in pairs[start : start + N_PER_GROUP]:
            cut = [side[: sum(token != 0 for token in side)] for side in pair]
            if row is None or any(
                len(row[name]) + len(side) > max_length
                for name, side in zip(("inputs", "targets"), cut, strict=True)
            ):
                row = {
                    f"{name}{end}": []
                    for name in ("inputs", "targets")
                    for end in ("", "_position", "_segmentation")
                }
                rows.append(row)
            for name, side in zip(("inputs", "targets"), cut, strict=True):
                row[name] += side
                row[f"{name}_position"] += range(len(side))
    for row in rows:
        for name in ("inputs", "targets"):
            segment = 0
            for token, position in zip(row[name], row[f"{name}_position"], strict=True):
                segment += position == 0
                row[f"{name}_segmentation"].append(segment if token != 0 else 0)
            for end in ("", "_position", "_segmentation"):
                row[f"{name}{end}"] += [0] * (max_length - len(row[f"{name}{end}"]))
    return rows


def packed_rows(pairs: list[Pair], max_length: int, order: NDArray[np.int64] | None) -> list[Row]:
    """Pack with the code under test; `order` are the rows asked for, all if None."""
    known = np.array([[np.count_nonzero(side) for side in pair] for pair in pairs], np.uint16)
    firsts = pack(known, max_length)
    rows_B = np.arange(len(firsts) - 1) if order is None else order
    placed = place(firsts[rows_B], firsts[rows_B + 1])
    rows: list[Row] = [{} for _ in rows_B]
    for i, name in enumerate(("inputs", "targets")):
        tokens = np.concatenate([np.array(pair[i], np.uint16) for pair in pairs])
        lengths = np.array([len(pair[i]) for pair in pairs])
        starts = np.cumsum(lengths) - lengths
        filled = fill(
            tokens,
            starts[placed.pairs_P],
            known[placed.pairs_P, i].astype(np.int64),
            placed,
            (len(rows_B), max_length),
        )
        for end, values in zip(("", "_position", "_segmentation"), filled, strict=True):
            assert values.dtype == np.int32
            for row, line in zip(rows, values.tolist(), strict=True):
                row[f"{name}{end}"] = line
    return rows


def draw_pairs(rng: np.random.Generator, n: int, max_length: int) -> list[Pair]:
    """Draw sentences; some tokens are unknown, the last never."""

    def sentence() -> list[int]:
        ids = rng.integers(0, 9, int(rng.integers(1, max_length + 1)))
        ids[-1] = 2
        return ids.tolist()

    return [(sentence(), sentence()) for _ in range(n)]


@pytest.mark.parametrize("case", range(20))
def test_rows_are_those_of_a_slow_packer(case: int) -> None:
    rng = np.random.default_rng(case)
    max_length = int(rng.integers(3, 40))
    pairs = draw_pairs(rng, int(rng.integers(1, 700)), max_length)
    assert packed_rows(pairs, max_length, None) == slow_rows(pairs, max_length)


def test_rows_can_be_read_in_any_order() -> None:
    rng = np.random.default_rng(1)
    pairs = draw_pairs(rng, 600, 20)
    all_rows = slow_rows(pairs, 20)
    order = rng.permutation(len(all_rows))[:50]
    assert packed_rows(pairs, 20, order) == [all_rows[i] for i in order]


def test_a_row_worked_by_hand() -> None:
    # The second input has an unknown token (0), so it loses its end; the third pair fits no more.
    pairs: list[Pair] = [([5, 6, 2], [7, 2]), ([8, 0, 9, 2], [4, 4, 2]), ([3, 3, 2], [3, 2])]
    first, second = packed_rows(pairs, 8, None)
    assert first == {
        "inputs": [5, 6, 2, 8, 0, 9, 0, 0],
        "inputs_position": [0, 1, 2, 0, 1, 2, 0, 0],
        "inputs_segmentation": [1, 1, 1, 2, 0, 2, 0, 0],
        "targets": [7, 2, 4, 4, 2, 0, 0, 0],
        "targets_position": [0, 1, 0, 1, 2, 0, 0, 0],
        "targets_segmentation": [1, 1, 2, 2, 2, 0, 0, 0],
    }
    assert second["inputs"] == [3, 3, 2, 0, 0, 0, 0, 0]
    assert second["targets_segmentation"] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_rows_never_hold_pairs_of_two_groups() -> None:
    lengths = np.ones((N_PER_GROUP + 2, 2), np.uint16)
    assert pack(lengths, 1000).tolist() == [0, N_PER_GROUP, N_PER_GROUP + 2]
