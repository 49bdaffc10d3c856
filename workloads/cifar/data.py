"""CIFAR-10 from its published Python files, split as AlgoPerf's torch, augmented as its jax.

Letters: N rows, B batch, H and W the sides of an image, C colours, R bytes in a row of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pacebench.data import ArraySource, fixed_subset
from pacebench.errors import DataError
from pacebench.seeds import uniform
from pacebench.spec import Batch, DataRequest, Source
from workloads.cifar.batch_file import HELP, BatchFile, file_error, read_batch_file

# AlgoPerf v0.6, cifar: the first 45,000 rows train, the last 5,000 validate; eval_train is
# ceil(5000 / 1024) · 1024.
SIZES = {"train": 45_000, "eval_train": 5_120, "validation": 5_000, "test": 10_000}
N_TRAIN_ROWS = 50_000
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILE = "test_batch"
ROWS_PER_FILE = 10_000
FOLDERS = ("cifar10/cifar-10-batches-py", "cifar-10-batches-py", ".")
"""Below --data-dir, in the order in which they are tried."""
N_SIDE = 32
N_COLOURS = 3
N_PADDING = 2  # AlgoPerf v0.6 jax pads to 36x36; its torch pads 4 pixels per side (README)
N_SHIFTS = 2 * N_PADDING + 1
# AlgoPerf v0.6: per colour, of pixels scaled to [0, 1].
MEAN_C = np.array([0.49139968, 0.48215827, 0.44653124], np.float32)
STDDEV_C = np.array([0.24703233, 0.24348505, 0.26158768], np.float32)


class AugmentedImages:
    """Training images: padded with black, cropped at random and flipped half of the time."""

    def __init__(self, images_NHWC: NDArray[np.uint8], targets_N: NDArray[np.int64]) -> None:
        self.size = len(images_NHWC)
        self._targets_N = targets_N
        sides = (N_PADDING, N_PADDING)
        padded = np.pad(images_NHWC, ((0, 0), sides, sides, (0, 0)))
        rows = padded.reshape(self.size, N_SIDE + 2 * N_PADDING, -1)
        # Every crop of every image without a copy: [N, 5 (down), 5 (right), H, R = W·C].
        n_bytes = N_SIDE * N_COLOURS
        windows = sliding_window_view(rows, (N_SIDE, n_bytes), axis=(1, 2))
        self._crops = windows[:, :, ::N_COLOURS]

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give inputs [B, 32, 32, 3] float32 and targets [B] int64."""
        # One draw among the 50 equally likely crops and flips.
        choice_B = (uniform(seeds_B, 0) * (2 * N_SHIFTS**2)).astype(np.int64)
        is_flipped_B, crop_B = choice_B % 2 == 1, choice_B // 2
        down_B, right_B = np.divmod(crop_B, N_SHIFTS)
        images_BHWC = self._crops[indices_B, down_B, right_B].reshape(-1, N_SIDE, N_SIDE, N_COLOURS)
        images_BHWC[is_flipped_B] = images_BHWC[is_flipped_B, :, ::-1]
        return {"inputs": normalize(images_BHWC), "targets": self._targets_N[indices_B]}


def normalize(images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale pixels to [0, 1], then each colour to mean 0 and deviation 1 over the training set."""
    # Whole rows at once: numpy is slow over a last axis of three.
    scale_R = np.tile(1 / (255 * STDDEV_C), N_SIDE)
    shift_R = np.tile(MEAN_C / STDDEV_C, N_SIDE)
    values_BHR = images_BHWC.reshape(-1, N_SIDE, N_SIDE * N_COLOURS).astype(np.float32)
    values_BHR *= scale_R
    values_BHR -= shift_R
    return values_BHR.reshape(images_BHWC.shape)


def find_sizes(request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits; raises DataError. Reads the files whole, for their checks."""
    folder, names = _find_files(request)
    train = _read_files(folder, names, request.allow_partial)
    test = _read_files(folder, (TEST_FILE,), request.allow_partial)
    return _sizes(sum(len(f.labels) for f in train), len(test[0].labels))


def open_sources(request: DataRequest) -> dict[str, Source]:
    """Read everything and open the four splits; raises DataError."""
    folder, names = _find_files(request)
    images, targets = _joined(_read_files(folder, names, request.allow_partial))
    test_images, test_targets = _joined(_read_files(folder, (TEST_FILE,), request.allow_partial))
    sizes = _sizes(len(images), len(test_images))
    cut = sizes["train"]
    rows = fixed_subset(cut, sizes["eval_train"])
    return {
        "train": AugmentedImages(images[:cut], targets[:cut]),
        "eval_train": ArraySource(inputs=normalize(images[rows]), targets=targets[rows]),
        "validation": ArraySource(inputs=normalize(images[cut:]), targets=targets[cut:]),
        "test": ArraySource(inputs=normalize(test_images), targets=test_targets),
    }


def _find_files(request: DataRequest) -> tuple[Path, tuple[str, ...]]:
    """Find the folder and the names of its training files; raises DataError."""
    if request.data_dir is None:
        raise DataError(f"cifar needs --data-dir DIR, with its files in DIR/{FOLDERS[0]}; {HELP}")
    for name in FOLDERS:
        folder = request.data_dir / name
        found = tuple(n for n in TRAIN_FILES if (folder / n).is_file())
        has_test = (folder / TEST_FILE).is_file()
        if not found and not has_test:
            continue
        is_complete = found == TRAIN_FILES
        if found and has_test and (is_complete or request.allow_partial):
            return folder, found
        missing = [n for n in (*TRAIN_FILES, TEST_FILE) if not (folder / n).is_file()]
        raise DataError(f"cifar: {folder} lacks {', '.join(missing)}; {HELP}")
    tried = ", ".join(str(request.data_dir / name) for name in FOLDERS)
    raise DataError(f"cifar: no {TRAIN_FILES[0]} in any of {tried}; {HELP}")


def _read_files(folder: Path, names: Sequence[str], is_partial_allowed: bool) -> list[BatchFile]:
    files = []
    for name in names:
        file = read_batch_file(folder / name, ROWS_PER_FILE)
        n_rows = len(file.labels)
        if n_rows < ROWS_PER_FILE and not is_partial_allowed:
            raise file_error(
                folder / name,
                f"has {n_rows:,} rows of the {ROWS_PER_FILE:,} published (--allow-partial-data "
                "takes them, for a score that is not a full one)",
            )
        files.append(file)
    return files


def _sizes(n_train_rows: int, n_test_rows: int) -> dict[str, int]:
    """Give the sizes of the splits: as published, or in proportion for fewer rows."""
    if n_train_rows < 2:
        raise DataError(f"cifar: the training files have one row; at least 2 are needed; {HELP}")
    n_train = n_train_rows * SIZES["train"] // N_TRAIN_ROWS
    return {
        "train": n_train,
        "eval_train": max(1, n_train * SIZES["eval_train"] // SIZES["train"]),
        "validation": n_train_rows - n_train,
        "test": n_test_rows,
    }


def _joined(files: Sequence[BatchFile]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give the images [N, H, W, C] and labels [N] of files in order."""
    planes = np.concatenate([f.pixels for f in files]).reshape(-1, N_COLOURS, N_SIDE, N_SIDE)
    images_NHWC = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return images_NHWC, np.concatenate([f.labels for f in files])
