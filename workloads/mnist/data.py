"""MNIST from its four published files, split and scaled as AlgoPerf does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.data import ArraySource, fixed_subset
from pacebench.errors import DataError
from pacebench.spec import DataRequest, Source
from workloads.mnist.idx import HELP, file_error, read_rows, read_size

# AlgoPerf v0.6, mnist: the first 50,000 rows train, the last 10,000 validate.
SIZES = {"train": 50_000, "eval_train": 10_000, "validation": 10_000, "test": 10_000}
PUBLISHED_ROWS = {"train": 60_000, "t10k": 10_000}
IMAGE_SHAPE = (28, 28)
N_CLASSES = 10
FOLDERS = ("mnist", "MNIST", "MNIST/raw", ".")
"""Below --data-dir, in the order in which they are tried; torchvision downloads to MNIST/raw."""
# AlgoPerf v0.6, mnist: mean and deviation of pixels scaled to [0, 1], but applied to pixels of 0
# to 255, so that inputs reach 827. The target was set so; it is kept.
PIXEL_MEAN = 0.1307
PIXEL_STDDEV = 0.3081


def find_sizes(request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits from the files' headers; raises DataError."""
    folder = _folder(request)
    counts = {}
    for part in PUBLISHED_ROWS:
        n_images = read_size(_images(folder, part), IMAGE_SHAPE)
        n_labels = read_size(_labels(folder, part), ())
        if n_images != n_labels:
            raise file_error(
                _images(folder, part),
                f"has {n_images:,} rows but {_labels(folder, part).name} has {n_labels:,}",
            )
        counts[part] = n_images
    return _sizes(folder, counts, request.allow_partial)


def open_sources(request: DataRequest) -> dict[str, Source]:
    """Read everything and open the four splits; raises DataError.

    Batches hold inputs [B, 28, 28, 1] float32 and targets [B] int64.
    """
    sizes = find_sizes(request)
    folder = _folder(request)
    images, targets = _read(folder, "train")
    cut = sizes["train"]
    rows = fixed_subset(cut, sizes["eval_train"])
    return {
        "train": _source(images[:cut], targets[:cut]),
        "eval_train": _source(images[rows], targets[rows]),
        "validation": _source(images[cut:], targets[cut:]),
        "test": _source(*_read(folder, "t10k")),
    }


def _source(images_NHWC: NDArray[np.float32], targets_N: NDArray[np.int64]) -> ArraySource:
    """Give a split; a batch is one gather of float32 rows (0.07 ms for 1,024 of them)."""
    return ArraySource(inputs=images_NHWC, targets=targets_N)


def _images(folder: Path, part: str) -> Path:
    return folder / f"{part}-images-idx3-ubyte.gz"


def _labels(folder: Path, part: str) -> Path:
    return folder / f"{part}-labels-idx1-ubyte.gz"


def _folder(request: DataRequest) -> Path:
    """Find the folder that holds the files: the first that has any; raises DataError."""
    if request.data_dir is None:
        raise DataError(f"mnist needs --data-dir DIR, with its files in DIR/mnist; {HELP}")
    for name in FOLDERS:
        folder = request.data_dir / name
        files = [f(folder, part) for part in PUBLISHED_ROWS for f in (_images, _labels)]
        missing = [path.name for path in files if not path.is_file()]
        if not missing:
            return folder
        if len(missing) < len(files):
            raise DataError(f"mnist: {folder} lacks {', '.join(missing)}; {HELP}")
    tried = ", ".join(str(request.data_dir / name) for name in FOLDERS)
    raise DataError(f"mnist: no {files[0].name} in any of {tried}; {HELP}")


def _sizes(folder: Path, counts: dict[str, int], is_partial_allowed: bool) -> dict[str, int]:
    """Give the sizes of the splits: as published, or in proportion for fewer rows."""
    for part, n_published in PUBLISHED_ROWS.items():
        n_rows = counts[part]
        if n_rows > n_published:
            raise file_error(
                _images(folder, part),
                f"has {n_rows:,} rows, more than the {n_published:,} published",
            )
        if n_rows < n_published and not is_partial_allowed:
            raise file_error(
                _images(folder, part),
                f"has {n_rows:,} rows of the {n_published:,} published (--allow-partial-data takes "
                "them, for a score that is not a full one)",
            )
        if n_rows < 2:
            raise file_error(_images(folder, part), f"has {n_rows} rows; at least 2 are needed")
    n_train = counts["train"] * SIZES["train"] // PUBLISHED_ROWS["train"]
    return {
        "train": n_train,
        "eval_train": max(1, n_train * SIZES["eval_train"] // SIZES["train"]),
        "validation": counts["train"] - n_train,
        "test": counts["t10k"],
    }


def _read(folder: Path, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give a part's images [N, 28, 28, 1] as the model sees them, and its labels [N]."""
    path = _labels(folder, part)
    labels = read_rows(path, (), PUBLISHED_ROWS[part])
    wrong = np.flatnonzero(labels >= N_CLASSES)
    if len(wrong):
        row = int(wrong[0])
        raise file_error(path, f"has the label {labels[row]} in row {row}; labels are 0 to 9")
    pixels = read_rows(_images(folder, part), IMAGE_SHAPE, PUBLISHED_ROWS[part])
    values = np.arange(256, dtype=np.float32)
    table = (values - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_STDDEV)
    return table[pixels][..., None], labels.astype(np.int64)
