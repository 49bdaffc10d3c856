"""Slices per second of fastMRI's training input, against plain h5py and numpy on the same volumes.

    python -m benchmarks.fastmri_input [--threads 2] [--rounds 5] [--batches 4] [--volumes 6]

The volumes are generated in the published layout, 32 slices of 640x372, not compressed; they stay
in the file system's cache, as AlgoPerf keeps them in memory. Ours is the pipeline that a trial
uses, in batches of 32, from volumes that `pacebench data prepare` has written, and from those
published; it does not read ahead here, which would be work in another's turn. The reference reads a
slice with h5py, masks it, and takes numpy's inverse FFT, the crop, the magnitude and the
normalisation in turn, with as many threads. All take turns in one process. Printed: medians and
ranges over the rounds, per second and per second of processor time (which a busy machine changes
less), and the ratio of the latter within each round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.support import spread
from pacebench.data import TrainBatches
from pacebench.seeds import Seed
from pacebench.spec import DataRequest
from workloads.fastmri import data
from workloads.fastmri.prepare import prepare
from workloads.fastmri.scans import KNEES

N_ROWS, WIDTH, N_SIDE = 640, 372, 320
N_SLICES = 32
BATCH_SIZE = 32
N_LOW, START, KEEP = 29, 172, (372 / 4 - 29) / (372 - 29)
"""AlgoPerf v0.6, fastmri, at 372 columns: those always kept, the first, and the others' chance."""

# run(n_batches) -> seconds, and seconds of processor time.
Run = Callable[[int], tuple[float, float]]


def write_volumes(folder: Path, n_volumes: int) -> None:
    """Write noise as fastMRI's volumes: so many to train on, one each for validation and test."""
    generator = np.random.default_rng(0)
    shape = (N_SLICES, N_ROWS, WIDTH)
    for name, count in (("knee_singlecoil_train", n_volumes), ("knee_singlecoil_val", 1)):
        for i in range(count):
            path = folder / "fastmri" / name / f"file{i}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            kspace = generator.random(shape, np.float32) + 1j * generator.random(shape, np.float32)
            with h5py.File(path, "w") as file:
                file["kspace"] = kspace.astype(np.complex64)
                file["reconstruction_esc"] = generator.random(
                    (N_SLICES, N_SIDE, N_SIDE), np.float32
                )
                file.attrs["max"] = 1.0


def timed(make_batch: Callable[[], object]) -> Run:
    """Give a run of batches."""

    def run(n_batches: int) -> tuple[float, float]:
        start, start_of_process = time.perf_counter(), time.process_time()
        for _ in range(n_batches):
            make_batch()
        return time.perf_counter() - start, time.process_time() - start_of_process

    return run


def ours(data_dir: Path, n_threads: int) -> Run:
    """Give the run of our input."""
    request = DataRequest(data_dir=data_dir, allow_partial=True, n_threads=n_threads)
    source = data.open_sources(KNEES, request)["train"]
    batches = TrainBatches(source, seed=Seed(0), batch_size=BATCH_SIZE, has_fixed_draws=True)
    return timed(lambda: next(batches))


def plain(data_dir: Path, n_threads: int) -> Run:
    """Give the run of the reference."""
    files = [h5py.File(path) for path in (data_dir / "fastmri" / "knee_singlecoil_train").iterdir()]
    generator = np.random.default_rng(0)
    pool = ThreadPoolExecutor(n_threads)
    top, left = (N_ROWS - N_SIDE) // 2, (WIDTH - N_SIDE) // 2

    def make(job: tuple[int, NDArray[np.float64]]) -> tuple[NDArray[np.float32], ...]:
        place, uniforms = job
        file, index = files[place // N_SLICES], place % N_SLICES
        kspace, target = file["kspace"][index], file["reconstruction_esc"][index]
        kept = uniforms < KEEP
        kept[START : START + N_LOW] = True
        image = np.fft.ifft2(np.fft.ifftshift(kspace * kept), norm="ortho")
        cropped = np.fft.fftshift(image)[top : top + N_SIDE, left : left + N_SIDE]
        magnitude = np.abs(cropped)
        mean, std = magnitude.mean(), magnitude.std()
        inputs, targets = (np.clip((x - mean) / std, -6, 6) for x in (magnitude, target))
        return inputs, targets, mean, std

    def make_batch() -> object:
        places = generator.integers(0, len(files) * N_SLICES, BATCH_SIZE).tolist()
        rows = pool.map(make, zip(places, generator.random((BATCH_SIZE, WIDTH)), strict=True))
        return [np.stack(part) for part in zip(*rows, strict=True)]

    return timed(make_batch)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4, help="of 32 slices, per round")
    parser.add_argument("--volumes", type=int, default=6, help="of 32 slices, to write")
    args = parser.parse_args()
    data.IN_MEMORY_BYTES = 0  # as for the real data, which is larger
    with tempfile.TemporaryDirectory() as folder:
        published, prepared = Path(folder) / "published", Path(folder) / "prepared"
        write_volumes(published, args.volumes)
        prepare(published / "fastmri", prepared, lambda *_: None)
        runs = {
            "plain h5py and numpy": plain(published, args.threads),
            "ours, published files": ours(published, args.threads),
            "ours, prepared files": ours(prepared, args.threads),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for run in runs.values():
            run(args.batches)  # warm
        for _ in range(args.rounds):
            for name, run in runs.items():
                found[name].append(run(args.batches))
    report(found, args.batches * BATCH_SIZE, args.threads)


def report(found: dict[str, list[tuple[float, float]]], n_slices: int, n_threads: int) -> None:
    """Print slices per second and per second of processor time, and the ratios."""
    reference = found["plain h5py and numpy"]
    print(f"fastmri, batches of {BATCH_SIZE}, {n_threads} threads, {len(reference)} rounds:")
    for name, times in found.items():
        wall = [n_slices / seconds for seconds, _ in times]
        busy = statistics.median(n_slices / seconds for _, seconds in times)
        ratios = [a[1] / b[1] for a, b in zip(reference, times, strict=True)]
        print(
            f"  {name}: {spread(wall)} slices/s; {busy:.0f} per second of one core, "
            f"{spread(ratios)} times plain"
        )


if __name__ == "__main__":
    main()
