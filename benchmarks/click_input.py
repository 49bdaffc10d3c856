"""Rows per second of criteo1tb's input: preparing raw lines, and reading what was prepared.

    python -m benchmarks.click_input [--rows 400000] [--rounds 5] [--processes 2]

The lines are generated, in Criteo's format. Preparing is `pacebench data prepare`: parse, hash with
FarmHash, write; once with one process, once with several. Reading is the pipeline that a trial
uses: batches of 65,536 rows of 39 float32, from memory-mapped shards, on one core. The reference is
pandas: read_csv of the same lines, logarithms of the numbers, and each category's hexadecimal
digits as a number modulo its buckets: no FarmHash, nothing written. All take turns. Printed:
thousands of rows per second, medians and ranges over the rounds, and the ratio to the reference
within each round. AlgoPerf parses 394,000 rows per second on 2 cores.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.support import spread
from pacebench.data import TrainBatches
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest
from workloads.criteo.clicks import CRITEO
from workloads.criteo.columns import BUCKETS, N_NUMBERS
from workloads.criteo.planted import draw, lines_of, plant
from workloads.criteo.prepare import prepare

BATCH_SIZE = 65_536
N_DAYS = 4


def write_days(folder: Path, n_rows: int) -> None:
    """Write generated days of equal length, and a last day for validation."""
    folder.mkdir()
    planted = plant(0)
    for day in range(N_DAYS):
        rows = draw(planted, n_rows // N_DAYS, np.random.default_rng(day))
        (folder / f"day_{day}").write_bytes(lines_of(planted, rows))
    rows = draw(planted, 100, np.random.default_rng(N_DAYS))
    (folder / "day_23").write_bytes(lines_of(planted, rows))


def ours(raw: Path, data_dir: Path, n_processes: int) -> Callable[[], None]:
    """Give a function that prepares everything anew."""

    def run() -> None:
        shutil.rmtree(data_dir / CRITEO.folder, ignore_errors=True)
        prepare(CRITEO, raw, data_dir, lambda _what, _done, _total: None, n_processes)

    return run


def reading(data_dir: Path, n_batches: int) -> Callable[[], None]:
    """Give a function that takes batches of the training input."""
    workload = find_workload("criteo1tb")
    request = DataRequest(data_dir=data_dir, allow_partial=True)
    source = workload.open_sources(request)["train"]
    batches = TrainBatches(
        source, seed=Seed(0), batch_size=BATCH_SIZE, epoch_order=workload.epoch_order
    )

    def run() -> None:
        for _ in range(n_batches):
            next(batches)

    return run


def with_pandas(raw: Path) -> Callable[[], None]:
    """Give a function that parses the same lines plainly."""
    numbers = list(range(1, 1 + N_NUMBERS))

    def run() -> None:
        for day in range(N_DAYS):
            table = pd.read_csv(
                raw / f"day_{day}",
                sep="\t",
                header=None,
                dtype={1 + N_NUMBERS + c: str for c in range(len(BUCKETS))},
            )
            columns = [np.log1p(table[c].fillna(0).clip(lower=0).to_numpy()) for c in numbers]
            for column, n_buckets in enumerate(BUCKETS):
                texts = table[1 + N_NUMBERS + column].fillna("0")
                codes = np.array([int(text, 16) for text in texts])
                columns.append(codes % n_buckets)
            np.stack(columns, axis=1).astype(np.float32)

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw, data_dir = Path(folder) / "raw", Path(folder)
        write_days(raw, args.rows)
        ours(raw, data_dir, 1)()  # warm, and something to read
        n_batches = max(1, args.rows // BATCH_SIZE)
        read = reading(data_dir, n_batches)
        read()
        n_processes = f"{args.processes} processes"
        runs = {
            "pandas, one process": (with_pandas(raw), args.rows),
            "prepare, one process": (ours(raw, data_dir, 1), args.rows),
            f"prepare, {n_processes}": (ours(raw, data_dir, args.processes), args.rows),
            "training input, one core": (read, n_batches * BATCH_SIZE),
        }
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(args.rounds):
            for name, (run, n_rows) in runs.items():
                start = time.perf_counter()
                run()
                rates[name].append(n_rows / (time.perf_counter() - start) / 1000)
    reference = rates["pandas, one process"]
    for name, values in rates.items():
        ratios = [value / other for value, other in zip(values, reference, strict=True)]
        print(f"{name}: {spread(values)} thousand rows/s, {spread(ratios)} of pandas", flush=True)


if __name__ == "__main__":
    main()
