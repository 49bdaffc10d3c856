"""The order in which AlgoPerf reads the pairs: TensorFlow Datasets' stored order, interleaved.

Pairs are sorted by the MD5 of split and key, cut into shards, and read 16 at a time from up to 16
shards in turn. The tokenizer's text is the beginning of this order, and packing follows it.
Sources: TensorFlow Datasets 4.9, core/hashing.py, core/shuffle.py, core/utils/shard_utils.py and
core/reader.py.

Letters: N pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# TensorFlow Datasets, core/reader.py and core/utils/read_config.py.
N_SHARDS_AT_ONCE = 16
N_PAIRS_AT_ONCE = 16
# core/utils/shard_utils.py.
MIN_SHARD_BYTES, MAX_SHARD_BYTES = 64 << 20, 1 << 30
RECORD_OVERHEAD_BYTES = 16
MAX_SHARDS = 1024
_LANGUAGE_BYTES = 2


def read_order(
    split: str, keys: Iterable[tuple[str, NDArray[np.int64]]], lengths_N: list[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Give the places of the pairs in the order in which they are read; shape N.

    `keys` are the parts' names with the lines of their pairs, counted from 0 with those left out;
    `lengths_N` the bytes of the two sides.
    """
    salt = hashlib.md5(split.encode(), usedforsecurity=False)
    digests = bytearray()
    for name, lines in keys:
        of_part = salt.copy()
        of_part.update(f"{name}/0/".encode())  # the 0 counts files; a part has one
        for line in lines.tolist():
            digest = of_part.copy()
            digest.update(b"%d" % line)
            digests += digest.digest()
    halves_N2 = np.frombuffer(bytes(digests), ">u8").reshape(-1, 2).astype(np.uint64)
    stored_N = np.lexsort((halves_N2[:, 1], halves_N2[:, 0]))
    n_bytes = int(record_bytes(*lengths_N).sum())
    return stored_N[interleaved(shard_sizes(len(stored_N), count_shards(n_bytes, len(stored_N))))]


def record_bytes(first_N: NDArray[np.int64], second_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the sizes of the serialised examples, tf.train.Example with two texts; shape N."""
    entries_N = np.zeros_like(first_N)
    for text_N in (first_N, second_N):
        feature_N = _field(_field(text_N))  # a Feature holding a BytesList
        entries_N += _field(_field(np.int64(_LANGUAGE_BYTES)) + _field(feature_N))
    return _field(entries_N)


def count_shards(n_bytes: int, n_pairs: int) -> int:
    """Give how many shards a split has."""
    n_bytes += n_pairs * RECORD_OVERHEAD_BYTES
    most, least = n_bytes // MIN_SHARD_BYTES, n_bytes // MAX_SHARD_BYTES
    n_shards = MAX_SHARDS
    while n_shards > 1 and not (least <= n_shards <= most and n_pairs >= n_shards):
        n_shards //= 2
    return n_shards


def shard_sizes(n_pairs: int, n_shards: int) -> list[int]:
    """Give the pairs of every shard."""
    ends = [round(n_pairs * shard / n_shards) for shard in range(n_shards + 1)]
    return [b - a for a, b in pairwise(ends)]


def interleaved(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Give the places of stored pairs in the order of reading, from the sizes of shards; shape N.

    With more than 16 shards each 16 are read to their end before the next: exact up to 16 shards,
    which WMT17 has, and a fixed order beyond.
    """
    shard_N = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    block_N = (np.arange(len(shard_N)) - starts[shard_N]) // N_PAIRS_AT_ONCE
    return np.lexsort((shard_N, block_N, shard_N // N_SHARDS_AT_ONCE))


def _field(n_bytes: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    """Give the size of a protocol buffer's field of `n_bytes`: tag, length and content."""
    n_length_bytes = 1 + sum(n_bytes >= (1 << bits) for bits in (7, 14, 21, 28))
    return np.asarray(1 + n_length_bytes + n_bytes, np.int64)
