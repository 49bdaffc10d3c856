"""Writes what training reads, from checked text: blocks of tokens first, then whole splits."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pacebench.data import fixed_subset
from pacebench.errors import DataError
from pacebench.manifests import MANIFEST, crc_of
from pacebench.preparing import Progress
from workloads.wmt.blocks import ArrayFile, Block, count_blocks, read_block, write_block
from workloads.wmt.corpus import Corpus
from workloads.wmt.files import FORMAT, SIDES, settings_of
from workloads.wmt.text_pairs import TextPairs
from workloads.wmt.tokens import MODEL_FILE, Tokenizer

STATE_FOLDER = ".prepare"
"""Below the data's folder: what a preparation is on the way with."""

_log = logging.getLogger(__name__)


def write_all(
    corpus: Corpus,
    texts: dict[str, TextPairs],
    folder: Path,
    manifest: dict[str, Any],
    progress: Progress,
) -> None:
    """Write tokens and references of all splits, the tokenizer, and the manifest last."""
    state = folder / STATE_FOLDER
    tokenizer = Tokenizer(state / MODEL_FILE)
    counts, files = {}, {}
    for split, text in texts.items():
        blocks = _write_blocks(corpus, split, text, (state, tokenizer), progress)
        counts[split], written = _join(corpus, split, text, (blocks, folder))
        files |= written
        _tell_left_out(split, counts[split], corpus.max_length)
    shutil.copyfile(state / MODEL_FILE, folder / MODEL_FILE)
    files[MODEL_FILE] = (folder / MODEL_FILE).stat().st_size, crc_of(folder / MODEL_FILE)
    manifest = {
        "format": FORMAT,
        "settings": settings_of(corpus),
        "counts": counts,
        "n_pieces": len(tokenizer),
        "files": files,
        **manifest,
    }
    os.sync()  # the files first: a manifest says that they are there
    aside = state / MANIFEST
    aside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    aside.replace(folder / MANIFEST)


def _tell_left_out(split: str, counts: dict[str, int], max_length: int) -> None:
    if counts["empty"]:
        _log.warning("%s: %s pairs left out, a side is empty", split, f"{counts['empty']:,}")
    if counts["too_long"]:
        _log.warning(
            "%s: %s pairs left out, a side has more than %s tokens",
            *(split, f"{counts['too_long']:,}", max_length),
        )


def _write_blocks(
    corpus: Corpus,
    split: str,
    text: TextPairs,
    with_what: tuple[Path, Tokenizer],
    progress: Progress,
) -> list[Path]:
    """Write the blocks of a split that are missing; gives all."""
    state, tokenizer = with_what
    n_threads = len(os.sched_getaffinity(0))
    n_blocks = count_blocks(text)
    paths = [state / f"{split}.{i:05d}.npz" for i in range(n_blocks)]
    for i, path in enumerate(paths):
        progress.tell(f"tokens of {split}", text.n_bytes * i // n_blocks)
        if path.is_file():
            read_block(path)  # deletes a damaged one
        write_block(text, i, path, tokenizer, (corpus.max_length, n_threads))
    progress.done_bytes += text.n_bytes
    progress.tell(f"tokens of {split}", 0)
    return paths


def _join(
    corpus: Corpus, split: str, text: TextPairs, where: tuple[list[Path], Path]
) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Join a split's blocks and write its references; gives counts, and bytes and sums of files."""
    paths, folder = where
    lengths_N4 = np.concatenate([_block(path).lengths_N4 for path in paths])
    kept_N = np.concatenate([_block(path).kept_N for path in paths])
    n_kept = len(kept_N)
    if n_kept == 0:
        raise DataError(f"no pair of {split} has {corpus.max_length} tokens or less on each side")
    totals = lengths_N4.sum(axis=0, dtype=np.int64)
    written = {
        name: ArrayFile(folder / f"{split}.{name}.npy", (int(n),))
        for name, n in zip(SIDES, totals, strict=False)
    }
    written["lengths"] = ArrayFile(folder / f"{split}.lengths.npy", lengths_N4.shape)
    written["lengths"].append(lengths_N4)
    for path in paths:
        block = _block(path)
        written["inputs"].append(block.inputs)
        written["targets"].append(block.targets)
    files = {array.path.name: array.finish() for array in written.values()}
    n_references = min(n_kept, corpus.n_eval_train) if split == "train" else n_kept
    references = text.at(kept_N[fixed_subset(n_kept, n_references)], 1)
    path = folder / f"{split}.references.txt"
    path.write_bytes(b"".join(line + b"\n" for line in references))
    files[path.name] = path.stat().st_size, crc_of(path)
    counts = {
        "pairs": len(text),
        "kept": n_kept,
        "too_long": len(text) - n_kept,
        "empty": text.n_empty,
        "input_tokens": int(totals[0]),
        "target_tokens": int(totals[1]),
    }
    return counts, files


def _block(path: Path) -> Block:
    block = read_block(path)
    if block is None:
        raise DataError(f"{path} could not be read back; run the same command again")
    return block
