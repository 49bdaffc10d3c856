"""How fast wmt's training rows are made, against a plain reference in the same run.

  python -m benchmarks.wmt_input --data-dir DATA --raw RAW    both as for `pacebench data prepare`

From text: sentences are tokenised on two threads, cut and packed into rows, as `prepare` and the
first read do. The reference tokenises with the same model sentence by sentence and packs with plain
lists, as AlgoPerf's pipeline goes pair by pair. In training only the reading of rows is left, which
is measured too. AlgoPerf's own pipeline (tf.data) was measured elsewhere on two cores of this class
of machine: 1,204 rows and 8,100 pairs per second from text.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pacebench.data import TrainBatches
from pacebench.preparing import Progress
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, Source
from workloads.wmt.corpus import WMT17
from workloads.wmt.data import PackedSource, open_sources
from workloads.wmt.files import Pairs, Side
from workloads.wmt.packing import N_PER_GROUP
from workloads.wmt.raw import find_raw
from workloads.wmt.texts import texts_of
from workloads.wmt.tokens import MODEL_FILE, Tokenizer

BATCH_SIZE = 128  # AlgoPerf v0.6: packed rows
ALGOPERF_ROWS, ALGOPERF_PAIRS = 1_204, 8_100
N_THREADS = 2
Texts = list[tuple[str, str]]


def main() -> None:
    """Print rows and pairs per second, and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    tokenizer = Tokenizer(args.data_dir / WMT17.folder / MODEL_FILE)
    texts = _texts(args.raw, args.pairs)
    print(f"{len(texts):,} pairs, rows of {WMT17.max_length} tokens, {args.rounds} rounds")
    ways: dict[str, Callable[[Texts, Tokenizer], int]] = {"ours": _ours, "plain": _plain}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    n_rows = {}
    for _ in range(args.rounds):  # taking turns
        for name, way in ways.items():
            start = time.perf_counter()
            n_rows[name] = way(texts, tokenizer)
            seconds[name].append(time.perf_counter() - start)
    assert n_rows["ours"] == n_rows["plain"]
    for name, values in seconds.items():
        median = statistics.median(values)
        print(
            f"from text, {name}: {n_rows[name] / median:,.0f} rows/s, {len(texts) / median:,.0f} "
            f"pairs/s ({len(texts) / max(values):,.0f} to {len(texts) / min(values):,.0f})"
        )
    ratio = statistics.median(seconds["plain"]) / statistics.median(seconds["ours"])
    median = statistics.median(seconds["ours"])
    print(
        f"plain / ours: {ratio:.2f}; ours / AlgoPerf: {n_rows['ours'] / median / ALGOPERF_ROWS:.2f}"
        f" in rows, {len(texts) / median / ALGOPERF_PAIRS:.2f} in pairs"
    )
    request = DataRequest(data_dir=args.data_dir, allow_partial=True)
    rate = _reading(open_sources(WMT17, request)["train"], args.rounds)
    print(f"reading prepared rows: {rate:,.0f} rows/s, {rate / ALGOPERF_ROWS:.0f} of AlgoPerf's")


def _texts(raw_dir: Path, n_pairs: int) -> Texts:
    raw = find_raw(WMT17, raw_dir)
    if raw is None:
        raise SystemExit(f"{raw_dir} holds no raw text of wmt")
    with tempfile.TemporaryDirectory() as folder:
        pairs = texts_of(raw, Path(folder), Progress(report=_quiet, total_bytes=0))["train"]
        found = zip(pairs, range(n_pairs), strict=False)
        return [(source.decode(), target.decode()) for (source, target), _ in found]


def _quiet(what: str, done: int, total: int) -> None:
    """Take reports."""


def _ours(texts: Texts, tokenizer: Tokenizer) -> int:
    sides = []
    sentences = [tokenizer.encode(list(side), N_THREADS) for side in zip(*texts, strict=True)]
    is_kept = [max(map(len, pair)) <= WMT17.max_length for pair in zip(*sentences, strict=True)]
    for side in sentences:
        kept = [ids for ids, keep in zip(side, is_kept, strict=True) if keep]
        lengths_N = np.array([len(ids) for ids in kept], np.uint16)
        tokens = np.fromiter((i for ids in kept for i in ids), np.uint16)
        known_N = lengths_N - np.array([ids.count(0) for ids in kept], np.uint16)
        starts_N = np.cumsum(lengths_N, dtype=np.int64) - lengths_N
        sides.append(Side(tokens=tokens, starts_N=starts_N, lengths_N=lengths_N, known_N=known_N))
    pairs = Pairs(inputs=sides[0], targets=sides[1], references=[])
    source = PackedSource(pairs, WMT17.max_length)
    for start in range(0, source.size, BATCH_SIZE):
        rows = np.arange(start, min(start + BATCH_SIZE, source.size))
        source.read(rows, np.zeros(len(rows), np.uint64))
    return source.size


def _plain(texts: Texts, tokenizer: Tokenizer) -> int:
    """Pack pair by pair with lists; give the number of rows."""
    rows: list[list[list[int]]] = []
    pairs = [[tokenizer.encode([side])[0] for side in pair] for pair in texts]
    pairs = [pair for pair in pairs if max(map(len, pair)) <= WMT17.max_length]
    for start in range(0, len(pairs), N_PER_GROUP):
        row: list[list[int]] | None = None
        for pair in pairs[start : start + N_PER_GROUP]:
            cut = [ids[: len(ids) - ids.count(0)] for ids in pair]
            if row is None or any(
                len(row[3 * i]) + len(ids) > WMT17.max_length for i, ids in enumerate(cut)
            ):
                row = [[] for _ in range(6)]
                rows.append(row)
            for i, ids in enumerate(cut):
                row[3 * i] += ids
                row[3 * i + 1] += range(len(ids))
                segment = max(row[3 * i + 2], default=0) + 1
                row[3 * i + 2] += [segment if token else 0 for token in ids]
    for start in range(0, len(rows), BATCH_SIZE):
        batch = np.zeros((len(rows[start : start + BATCH_SIZE]), 6, WMT17.max_length), np.int32)
        for filled, row in zip(batch, rows[start : start + BATCH_SIZE], strict=True):
            for array, values in zip(filled, row, strict=True):
                array[: len(values)] = values
    return len(rows)


def _reading(source: Source, n_rounds: int) -> float:
    batches = TrainBatches(source, seed=Seed(0), batch_size=BATCH_SIZE)
    next(batches)
    rates = []
    for _ in range(n_rounds):
        start = time.perf_counter()
        for _ in range(20):
            next(batches)
        rates.append(20 * BATCH_SIZE / (time.perf_counter() - start))
    return statistics.median(rates)


if __name__ == "__main__":
    main()
