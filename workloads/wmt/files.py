"""What training reads: the tokens of every split, prepared by `workloads.wmt.prepare`.

`<folder>` below --data-dir holds
    wmt_sentencepiece_model    the tokenizer
    <split>.inputs.npy         German tokens, uint16, sentence after sentence; read through a map
    <split>.targets.npy        English tokens
    <split>.lengths.npy        uint16 [N, 4]: tokens of input and target, and known ones among them
    <split>.references.txt     the targets' raw text, a line each; of `train` only eval_train's
    manifest.json              counts, bytes and crc32 of these; written last
Pairs are in AlgoPerf's order (`workloads.wmt.order`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench import manifests
from pacebench.errors import DataError
from pacebench.manifests import check_manifest, folder_of
from pacebench.spec import DataRequest
from workloads.wmt.corpus import SPLITS, Corpus

FORMAT = 1
SIDES = ("inputs", "targets")


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One language of a split."""

    tokens: NDArray[np.uint16]
    starts_N: NDArray[np.int64]
    lengths_N: NDArray[np.uint16]
    known_N: NDArray[np.uint16]
    """Tokens of each sentence that are not unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """The sentence pairs of a split."""

    inputs: Side
    targets: Side
    references: list[bytes]
    """Raw text of the targets; of `train` only where training's metric is measured."""

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.inputs.lengths_N)


def find_sizes(corpus: Corpus, request: DataRequest) -> dict[str, int]:
    """Give the pairs of every split, those too long included; raises DataError."""
    counts = find_manifest(corpus, request)[1]["counts"]
    sizes = {split: int(counts[split]["pairs"]) for split in SPLITS}
    sizes["eval_train"] = min(corpus.n_eval_train, int(counts["train"]["kept"]))
    return {split: sizes[split] for split in ("train", "eval_train", "validation", "test")}


def find_manifest(corpus: Corpus, request: DataRequest) -> tuple[Path, dict[str, Any]]:
    """Give the folder and its manifest, whose files have the sizes stated; raises DataError."""
    folder = folder_of(request, corpus.name, corpus.folder, corpus.help)
    manifest = check_manifest(read_manifest(folder), folder, corpus.name, corpus.help)
    if manifest["settings"] != settings_of(corpus):
        raise DataError(
            f"{folder} was prepared with other settings ({manifest['settings']}, not "
            f"{settings_of(corpus)}); prepare again"
        )
    if not request.allow_partial:
        for split, published in corpus.sizes.items():
            n_pairs = manifest["counts"][split]["pairs"]
            if n_pairs != published:
                raise DataError(
                    f"{corpus.name}: {split} in {folder} has {n_pairs:,} pairs of the "
                    f"{published:,} published (--allow-partial-data takes them, for a score that "
                    f"is not a full one); {corpus.help}"
                )
    return folder, manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Give a folder's manifest, None if there is none; raises DataError if it is damaged."""
    return manifests.read_manifest(folder, FORMAT, {"counts", "settings", "raw"})


def settings_of(corpus: Corpus) -> dict[str, int]:
    """Give what the prepared files depend on beside the raw text."""
    return {
        "vocabulary_size": corpus.vocabulary_size,
        "max_length": corpus.max_length,
        "tokenizer_text_bytes": corpus.tokenizer_text_bytes,
        "n_eval_train": corpus.n_eval_train,
    }


def open_pairs(folder: Path, split: str) -> Pairs:
    """Open a split; its tokens are read when they are used."""
    lengths_N4 = np.load(folder / f"{split}.lengths.npy")
    sides = []
    for i, name in enumerate(SIDES):
        mapped = np.load(folder / f"{split}.{name}.npy", mmap_mode="r")
        lengths_N = np.ascontiguousarray(lengths_N4[:, i])
        sides.append(
            Side(
                tokens=np.asarray(mapped),
                starts_N=np.cumsum(lengths_N, dtype=np.int64) - lengths_N,
                lengths_N=lengths_N,
                known_N=np.ascontiguousarray(lengths_N4[:, i + 2]),
            )
        )
    references = (folder / f"{split}.references.txt").read_bytes().split(b"\n")[:-1]
    return Pairs(inputs=sides[0], targets=sides[1], references=references)
