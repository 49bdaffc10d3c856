"""Writes the splits: documents in shuffled order, as streams of tokens, and the manifest.

Letters: N documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pacebench.manifests import MANIFEST, crc_of
from pacebench.seeds import example_seeds
from workloads.lm.blocks import Documents
from workloads.lm.corpus import SPLITS, Corpus, Split
from workloads.lm.files import FORMAT

# AlgoPerf v1.0, finewebedu_lm: the seed of the shuffle, and what share of the documents is `train`.
SHUFFLE_SEED = 0
TRAIN_SHARE = 0.9
# Ours: the share may move by so much for `train` to have the published number of windows.
SHARE_TOLERANCE = 1e-3
# Ours: 256 MiB a file.
SHARD_TOKENS = 1 << 27


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The documents of a split and how many of their tokens it holds."""

    order_N: NDArray[np.int64]
    n_tokens: int


def split_documents(corpus: Corpus, lengths_N: NDArray[np.int64]) -> dict[Split, Part]:
    """Give the shuffled documents of each split.

    The shuffle sorts the documents by `pacebench.seeds.example_seeds` of their place. The first 90%
    are `train`, or as many as give the published number of windows where that is within 0.1%; of
    the others `validation` keeps no more windows than are published.
    """
    order_N = np.argsort(example_seeds(SHUFFLE_SEED, 0, np.arange(len(lengths_N))), kind="stable")
    ends_N = lengths_N[order_N].cumsum()
    n_train = int(TRAIN_SHARE * len(order_N))
    n_tokens = int(ends_N[n_train - 1]) if n_train else 0
    published = corpus.sizes["train"] * corpus.window
    n_all = int(ends_N[-1]) if len(ends_N) else 0
    if published <= n_all and abs(n_tokens - published) <= SHARE_TOLERANCE * published:
        n_train, n_tokens = int(np.searchsorted(ends_N, published)) + 1, published
    n_others = n_all - (int(ends_N[n_train - 1]) if n_train else 0)
    return {
        "train": Part(order_N=order_N[:n_train], n_tokens=n_tokens),
        "validation": Part(
            order_N=order_N[n_train:],
            n_tokens=min(n_others, corpus.sizes["validation"] * corpus.window),
        ),
    }


def write_all(
    corpus: Corpus,
    documents: Documents,
    folder: Path,
    facts: dict[str, Any],
    tell: Callable[[str, int], None],
) -> None:
    """Write the files that are not there, then the manifest. Raises OSError.

    `tell` is told what is written and how many bytes that was.
    """
    parts = split_documents(corpus, documents.lengths_N)
    starts_N = documents.lengths_N.cumsum() - documents.lengths_N
    names = []
    for split in SPLITS:
        part = parts[split]
        for i, start in enumerate(range(0, part.n_tokens, SHARD_TOKENS)):
            names.append(f"{split}-{i:05d}.npy")
            n_tokens = min(SHARD_TOKENS, part.n_tokens - start)
            if not (folder / names[-1]).is_file():
                _write_array(
                    folder / names[-1], _gather(documents, starts_N, part, start, n_tokens)
                )
            tell(f"writing {names[-1]}", 2 * n_tokens)
    manifest = {
        "format": FORMAT,
        **facts,
        "n_vocab": corpus.n_vocab,
        "documents": {split: len(parts[split].order_N) for split in SPLITS},
        "empty_documents": documents.n_empty,
        "tokens": {split: parts[split].n_tokens for split in SPLITS},
        "files": {name: [(folder / name).stat().st_size, crc_of(folder / name)] for name in names},
    }
    _write_whole(
        folder / MANIFEST, lambda file: file.write(json.dumps(manifest, indent=1).encode())
    )


def _gather(
    documents: Documents, starts_N: NDArray[np.int64], part: Part, start: int, n_tokens: int
) -> NDArray[np.uint16]:
    """Give the tokens of a split's stream from `start` on."""
    lengths_N = documents.lengths_N[part.order_N]
    ends_N = lengths_N.cumsum()
    gathered = np.empty(n_tokens, np.uint16)
    first = int(np.searchsorted(ends_N, start, side="right"))
    n_skipped = start - int(ends_N[first] - lengths_N[first])
    n_copied = 0
    for document in part.order_N[first:].tolist():
        begin = int(starts_N[document]) + n_skipped
        stop = min(
            int(starts_N[document] + documents.lengths_N[document]), begin + n_tokens - n_copied
        )
        gathered[n_copied : n_copied + stop - begin] = documents.tokens[begin:stop]
        n_copied += stop - begin
        n_skipped = 0
        if n_copied == n_tokens:
            break
    return gathered


def _write_array(path: Path, array: NDArray[np.uint16]) -> None:
    _write_whole(path, lambda file: np.save(file, array))


def _write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file aside, then put it into place."""
    aside = path.with_name(path.name + ".part")
    with aside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
