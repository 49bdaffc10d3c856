"""Images per second of ImageNet's training input, against plain Pillow on the same files.

    python -m benchmarks.images [--threads 2] [--rounds 5] [--images 256]

The files are generated: 500x375 JPEGs of about 80 kB. Ours is the pipeline that a trial uses, with
its read-ahead: batches of 128, once as for the ResNets (random crop, flip, normalised) and once as
for the ViTs (RandAugment and mixup on top). The reference decodes with Pillow, crops a random
window and resizes it, no more, with as many threads. All take turns in one process. Printed:
medians and ranges over the rounds, and the ratio within each round.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks.support import spread
from pacebench.data import ReadAhead, TrainBatches
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest

HEIGHT, WIDTH = 375, 500
N_BYTES = 80_000
BATCH_SIZE = 128
N_CLASSES = 4


def photograph(rng: np.random.Generator) -> bytes:
    """Give a JPEG of blobs at several scales, at the quality that makes it about 80 kB."""
    values = np.full((HEIGHT, WIDTH, 3), 128, np.float32)
    for n_blobs, deviation in ((4, 60), (16, 40), (64, 30), (200, 25)):
        blobs = rng.normal(0, deviation, (n_blobs * 3 // 4, n_blobs, 3)).astype(np.float32)
        values += cv2.resize(blobs, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    pixels = np.clip(values, 0, 255).astype(np.uint8)
    data = b""
    for quality in range(75, 101):
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) >= N_BYTES:
            break
    return data


def write_images(folder: Path, n_images: int) -> None:
    """Write class folders as ImageNet's, with as many images to train on."""
    rng = np.random.default_rng(0)
    for split, count in (("train", n_images), ("val", N_CLASSES), ("test", N_CLASSES)):
        for i in range(count):
            path = folder / "imagenet" / split / f"n{i % N_CLASSES:08d}" / f"{i:04d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photograph(rng))


def ours(name: str, data_dir: Path, n_threads: int) -> Callable[[int], float]:
    """Give run(n_batches) -> seconds of a workload's input."""
    workload = find_workload(name)
    request = DataRequest(data_dir=data_dir, allow_partial=True, n_threads=n_threads)
    source = workload.open_sources(request)["train"]
    batches = ReadAhead(TrainBatches(source, seed=Seed(0), batch_size=BATCH_SIZE, mix=workload.mix))

    def run(n_batches: int) -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            next(batches)
        return time.perf_counter() - start

    return run


def pillow(data_dir: Path, n_threads: int) -> Callable[[int], float]:
    """Give run(n_batches) -> seconds of decoding, cropping and resizing with Pillow."""
    from PIL import Image

    paths = sorted((data_dir / "imagenet" / "train").rglob("*.JPEG"))
    rng = np.random.default_rng(0)
    pool = ThreadPoolExecutor(n_threads)

    def make(job: tuple[Path, float]) -> np.ndarray:
        path, share = job
        image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
        width, height = int(WIDTH * share), int(HEIGHT * share)
        left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
        box = (left, top, left + width, top + height)
        return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC, box=box))

    def run(n_batches: int) -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            # Sides of 60 % in the mean: an area of 39 %, as of the windows that are drawn.
            shares = rng.uniform(0.35, 0.85, BATCH_SIZE)
            chosen = [paths[i] for i in rng.integers(0, len(paths), BATCH_SIZE)]
            np.stack(list(pool.map(make, zip(chosen, shares, strict=True))))
        return time.perf_counter() - start

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8, help="of 128 images, per round")
    parser.add_argument("--images", type=int, default=256, help="files to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        write_images(data_dir, args.images)
        runs = {
            "Pillow: decode, crop, resize": pillow(data_dir, args.threads),
            "ResNet: crop, flip, normalise": ours("imagenet_resnet", data_dir, args.threads),
            "ViT: the same, RandAugment, mixup": ours("imagenet_vit", data_dir, args.threads),
        }
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for run in runs.values():
            run(3)  # warm
        for _ in range(args.rounds):
            for name, run in runs.items():
                rates[name].append(args.batches * BATCH_SIZE / run(args.batches))
    reference, *others = rates
    print(f"{args.threads} threads, images per second")
    print(f"  {reference}: {statistics.median(rates[reference]):,.0f}")
    for name in others:
        pairs = zip(rates[name], rates[reference], strict=True)
        print(
            f"  {name}: {statistics.median(rates[name]):,.0f} "
            f"({min(rates[name]):,.0f} to {max(rates[name]):,.0f}), "
            f"over Pillow's: {spread([a / b for a, b in pairs])}"
        )


if __name__ == "__main__":
    main()
