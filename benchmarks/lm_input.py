"""Tokens per second of the language models' input and preparation, against plain references.

    python -m benchmarks.lm_input --raw DIR [--rounds 5] [--batches 50]

DIR holds vocab.json, merges.txt and text, as `pacebench data prepare finewebedu_lm` reads it.
Input: batches of 64 windows of 1,025 tokens, as a trial reads them; the reference takes 64 slices
at random places of a memory map and stacks them. Preparation: from raw files to shuffled streams;
the reference reads the same documents, encodes one after the other with tiktoken and writes the
tokens as they come. All take turns in one process. Printed: medians and ranges over the rounds, and
the ratio within each round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.support import spread
from pacebench.data import TrainBatches
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest
from workloads.lm.corpus import FINEWEB_EDU
from workloads.lm.documents import read_blocks
from workloads.lm.prepare import find_raw, prepare_fineweb_edu
from workloads.lm.tokens import open_tokenizer

BATCH_SIZE, CONTEXT = 64, 1024
Run = Callable[[], float]
"""Does its work once and gives tokens per second."""


def reading(data_dir: Path, n_batches: int) -> Run:
    """Read batches as a trial does."""
    workload = find_workload("finewebedu_lm")
    request = DataRequest(data_dir=data_dir, allow_partial=True)
    source = workload.open_sources(request)["train"]
    batches = TrainBatches(source, seed=Seed(0), batch_size=BATCH_SIZE)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            next(batches)
        return n_batches * BATCH_SIZE * CONTEXT / (time.perf_counter() - start)

    return run


def slicing(data_dir: Path, n_batches: int) -> Run:
    """Stack slices of a memory map."""
    path = data_dir / FINEWEB_EDU.folder / "train-00000.npy"
    tokens = np.load(path, mmap_mode="r")
    generator = np.random.default_rng(0)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            places = generator.integers(0, len(tokens) - CONTEXT - 1, BATCH_SIZE).tolist()
            np.stack([tokens[i : i + CONTEXT].astype(np.int32) for i in places])
            np.stack([tokens[i + 1 : i + 1 + CONTEXT].astype(np.int32) for i in places])
        return n_batches * BATCH_SIZE * CONTEXT / (time.perf_counter() - start)

    return run


def preparing(raw: Path) -> Run:
    """Prepare from nothing."""
    n_all = n_tokens(raw)

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            prepare_fineweb_edu(raw, Path(folder), lambda *_: None)
            seconds = time.perf_counter() - start
        return n_all / seconds

    return run


def encoding(raw: Path) -> Run:
    """Encode one document after the other and write what comes."""
    encode = open_tokenizer(FINEWEB_EDU, raw).encoding.encode_ordinary
    n_all = n_tokens(raw)

    def run() -> float:
        start = time.perf_counter()
        with tempfile.TemporaryFile() as file:
            for path in find_raw(raw):
                for block in read_blocks(path):
                    for text in block.texts:
                        file.write(np.array(encode(text), np.uint16).tobytes())
        return n_all / (time.perf_counter() - start)

    return run


def n_tokens(raw: Path) -> int:
    """Count the tokens of all documents."""
    encode = open_tokenizer(FINEWEB_EDU, raw).encode
    blocks = (block for path in find_raw(raw) for block in read_blocks(path))
    return sum(len(encode(text)) for block in blocks for text in block.texts)


def compare(name: str, ours: Run, reference: Run, n_rounds: int) -> None:
    """Let both take turns and print."""
    ours(), reference()  # warm
    pairs = [(ours(), reference()) for _ in range(n_rounds)]
    of_ours, of_reference = zip(*pairs, strict=True)
    print(
        f"{name}: {statistics.median(of_ours):,.0f} tokens per second, plain "
        f"{statistics.median(of_reference):,.0f}, ratio {spread([a / b for a, b in pairs])}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=50, help="per round")
    args = parser.parse_args()
    raw = args.raw.resolve()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        prepare_fineweb_edu(raw, data_dir, lambda *_: None)
        ours, reference = (make(data_dir, args.batches) for make in (reading, slicing))
        compare("input", ours, reference, args.rounds)
    compare("preparation", preparing(raw), encoding(raw), args.rounds)


if __name__ == "__main__":
    main()
