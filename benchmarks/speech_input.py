"""Seconds of speech per second that LibriSpeech's training input and features take in.

    python -m benchmarks.speech_input [--threads 2] [--rounds 5] [--clips 64]

The clips are generated: 20 s of noise each, prepared as LibriSpeech is. Ours is the pipeline that a
trial uses, with its read-ahead (batches of 32), alone and with the log-mel features of the models,
in torch and in jax. The reference reads the same samples from NumPy files, cuts frames of 25 ms
and takes SciPy's real FFT, the same mel matrix and the logarithm, a clip at a time in as many
threads; it makes no batch. All take turns in one process. Printed: medians and ranges over the
rounds, and the ratio within each round. AlgoPerf's own input with features took in 1,614 (torch)
and 1,846 (jax) on two cores of this class.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support import spread
from pacebench.data import ReadAhead, TrainBatches
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import Batch, DataRequest

SAMPLE_RATE = 16_000
N_SECONDS = 20
BATCH_SIZE = 32
SUBSETS = ("train-clean-100", "dev-clean", "test-clean")


def write_speech(folder: Path, n_clips: int) -> None:
    """Write clips as LibriSpeech's tree and as NumPy files, and prepare the tree."""
    import soundfile

    from workloads.librispeech.prepare import prepare

    rng = np.random.default_rng(0)
    for number, subset in enumerate(SUBSETS):
        chapter = folder / "raw" / "LibriSpeech" / subset / str(number) / "1"
        chapter.mkdir(parents=True)
        lines = []
        for i in range(n_clips if number == 0 else 1):
            samples = rng.normal(0, 3_000, N_SECONDS * SAMPLE_RATE).astype(np.int16)
            name = f"{number}-1-{i:04d}"
            soundfile.write(chapter / f"{name}.flac", samples, SAMPLE_RATE)
            np.save(folder / f"{name}.npy", samples)
            lines.append(f"{name} THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG {i}\n")
        (chapter / f"{number}-1.trans.txt").write_text("".join(lines))
    prepare(folder / "raw", folder, lambda _what, _done, _total: None)


def ours(
    folder: Path, n_threads: int, featurise: Callable[[Batch], Any] | None
) -> Callable[[int], float]:
    """Give run(n_batches) -> seconds of the training input, with features or without."""
    workload = find_workload("librispeech_conformer")
    request = DataRequest(data_dir=folder, allow_partial=True, n_threads=n_threads)
    source = workload.open_sources(request)["train"]
    batches = ReadAhead(TrainBatches(source, seed=Seed(0), batch_size=BATCH_SIZE))

    def run(n_batches: int) -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            batch = next(batches)
            if featurise is not None:
                featurise(batch)
        return time.perf_counter() - start

    return run


def torch_features(n_threads: int) -> Callable[[Batch], Any]:
    """Give the features of a batch by torch."""
    import torch

    from workloads.librispeech.features_torch import LogMel

    torch.set_num_threads(n_threads)
    log_mel = LogMel()
    return lambda batch: log_mel(*(torch.from_numpy(part) for part in batch["inputs"]))


def jax_features() -> Callable[[Batch], Any]:
    """Give the features of a batch by jax."""
    import jax

    from workloads.librispeech.features_flax import log_mel

    compiled = jax.jit(log_mel)
    return lambda batch: jax.block_until_ready(compiled(*batch["inputs"]))


def scipy_features(folder: Path, n_threads: int) -> Callable[[int], float]:
    """Give run(n_batches) -> seconds of reading clips and taking their log-mel with SciPy."""
    import scipy.fft

    from workloads.librispeech.features import FFT_LENGTH, HOP, WINDOW, hann_window, mel_matrix

    paths = sorted(folder.glob("0-1-*.npy"))
    window, mel = hann_window().astype(np.float32), mel_matrix().astype(np.float32)
    pool = ThreadPoolExecutor(n_threads)
    rng = np.random.default_rng(0)

    def featurise(path: Path) -> np.ndarray:
        samples = np.load(path).astype(np.float32) / 2**15
        emphasised = np.append(samples[:1], samples[1:] - np.float32(0.97) * samples[:-1])
        frames = np.lib.stride_tricks.sliding_window_view(emphasised, WINDOW)[::HOP]
        spectrum = scipy.fft.rfft(frames * window, FFT_LENGTH)
        return np.log(np.maximum((spectrum.real**2 + spectrum.imag**2) @ mel, np.float32(1e-5)))

    def run(n_batches: int) -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            chosen = [paths[i] for i in rng.integers(0, len(paths), BATCH_SIZE)]
            list(pool.map(featurise, chosen))
        return time.perf_counter() - start

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4, help="of 32 clips, per round")
    parser.add_argument("--clips", type=int, default=64, help="of 20 s, to write")
    args = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_speech(folder, args.clips)
        runs = {
            "SciPy's log-mel": scipy_features(folder, args.threads),
            "input": ours(folder, args.threads, None),
            "input and features, torch": ours(folder, args.threads, torch_features(args.threads)),
            "input and features, jax": ours(folder, args.threads, jax_features()),
        }
        n_seconds = args.batches * BATCH_SIZE * N_SECONDS
        rates: dict[str, list[float]] = {label: [] for label in runs}
        for run in runs.values():
            run(3)  # warm
        for _ in range(args.rounds):
            for label, run in runs.items():
                rates[label].append(n_seconds / run(args.batches))
    reference, *others = rates
    print(f"{args.threads} threads, seconds of speech per second")
    print(f"  {reference}: {statistics.median(rates[reference]):,.0f}")
    for label in others:
        pairs = zip(rates[label], rates[reference], strict=True)
        print(
            f"  {label}: {statistics.median(rates[label]):,.0f} "
            f"({min(rates[label]):,.0f} to {max(rates[label]):,.0f}), "
            f"over SciPy's: {spread([a / b for a, b in pairs])}"
        )


if __name__ == "__main__":
    main()
