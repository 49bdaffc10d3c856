"""What training reads: streams of tokens, prepared by `workloads.lm.prepare`.

`<folder>` below --data-dir holds
    train-00000.npy …         tokens, uint16, document after document; read through a map
    validation-00000.npy …
    manifest.json             counts, bytes and crc32 of these; written last
A split is one stream over all its files; documents end in an end token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench import manifests
from pacebench.errors import DataError
from pacebench.manifests import check_manifest, folder_of
from pacebench.spec import DataRequest
from workloads.lm.corpus import SPLITS, Corpus, Split

FORMAT = 1


class TokenStream:
    """The tokens of a split; what is read is read from the disk."""

    def __init__(self, parts: list[NDArray[np.uint16]]) -> None:
        self._parts = parts
        self._stops = np.cumsum([len(part) for part in parts]).tolist()
        self._starts = [0, *self._stops[:-1]]

    def __len__(self) -> int:
        """Count the tokens."""
        return self._stops[-1] if self._stops else 0

    def copy_to(self, target: NDArray[Any], start: int) -> None:
        """Fill `target` [L] with the tokens from `start` on."""
        n_copied = 0
        part = int(np.searchsorted(self._stops, start, side="right"))
        while n_copied < len(target):  # once, but where a file ends
            offset = start + n_copied - self._starts[part]
            tokens = self._parts[part][offset : offset + len(target) - n_copied]
            target[n_copied : n_copied + len(tokens)] = tokens
            n_copied += len(tokens)
            part += 1


def find_sizes(corpus: Corpus, request: DataRequest) -> dict[str, int]:
    """Give the windows of every split; raises DataError."""
    return sizes_of(corpus, find_manifest(corpus, request)[1])


def sizes_of(corpus: Corpus, manifest: dict[str, Any]) -> dict[str, int]:
    """Give the windows of every split. Validation is on no more than are published."""
    n_train, n_validation = (manifest["tokens"][split] // corpus.window for split in SPLITS)
    return {
        "train": n_train,
        "eval_train": min(corpus.n_eval_train, n_train),
        "validation": min(corpus.sizes["validation"], n_validation),
        "test": 0,
    }


def find_manifest(corpus: Corpus, request: DataRequest) -> tuple[Path, dict[str, Any]]:
    """Give the folder and its manifest, whose files have the sizes stated; raises DataError."""
    folder = folder_of(request, corpus.name, corpus.folder, corpus.help)
    manifest = check_manifest(read_manifest(folder), folder, corpus.name, corpus.help)
    sizes = sizes_of(corpus, manifest)
    for split in SPLITS:
        if sizes[split] == 0:
            raise DataError(
                f"{corpus.name}: {split} in {folder} is shorter than one window of "
                f"{corpus.window:,} tokens; prepare more text"
            )
    if not request.allow_partial:
        _check_published(corpus, folder, manifest, sizes)
    if manifest["n_vocab"] > corpus.n_vocab:
        raise DataError(
            f"{folder} was prepared with {manifest['n_vocab']:,} tokens; the model of "
            f"{corpus.name} knows {corpus.n_vocab:,}"
        )
    return folder, manifest


def _check_published(
    corpus: Corpus, folder: Path, manifest: dict[str, Any], sizes: dict[str, int]
) -> None:
    partial = "--allow-partial-data takes it, for a score that is not a full one"
    for split in SPLITS:
        if sizes[split] != corpus.sizes[split]:
            raise DataError(
                f"{corpus.name}: {split} in {folder} has {sizes[split]:,} windows, not the "
                f"published {corpus.sizes[split]:,} ({partial}); {corpus.help}"
            )
    if corpus.merges_sha256 not in (None, manifest["merges_sha256"]):
        raise DataError(
            f"{corpus.name}: {folder} was tokenised with another vocabulary than GPT-2's "
            f"({partial}); {corpus.help}"
        )


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Give a folder's manifest, None if there is none; raises DataError if it is damaged."""
    return manifests.read_manifest(folder, FORMAT, {"tokens", "raw", "n_vocab", "merges_sha256"})


def open_stream(folder: Path, manifest: dict[str, Any], split: Split) -> TokenStream:
    """Open a split; raises DataError if its files do not hold what the manifest states."""
    names = sorted(name for name in manifest["files"] if name.startswith(f"{split}-"))
    try:
        parts = [np.asarray(np.load(folder / name, mmap_mode="r")) for name in names]
    except ValueError as error:
        raise DataError(f"a file of {split} in {folder} is damaged ({error})") from error
    is_right = all(part.dtype == np.uint16 and part.ndim == 1 for part in parts)
    stream = TokenStream(parts)
    if not is_right or len(stream) != manifest["tokens"][split]:
        raise DataError(
            f"{folder} does not hold the tokens of {split} that its manifest states; delete it and "
            "prepare again"
        )
    return stream
