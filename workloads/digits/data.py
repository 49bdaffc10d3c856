"""The digits of scikit-learn (UCI optical recognition of handwritten digits), split by us."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.data import ArraySource, fixed_subset
from pacebench.errors import DataError
from pacebench.seeds import uniform
from pacebench.spec import Batch, DataRequest, Source

SIZES = {"train": 1000, "eval_train": 400, "validation": 397, "test": 400}  # ours; 1,797 in all
PIXEL_MAX = 16.0  # the UCI set counts 0..16 in each pixel
N_SIDE = 8
# sha256 of the uncompressed CSV in scikit-learn 1.4 to 1.9 (1,797 rows of 64 pixels and a label)
SHA256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
_NEIGHBOURS = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])


class ShiftedDigits:
    """Training digits, each moved by -1, 0 or 1 pixels in both directions; zeros come in."""

    def __init__(self, images_NP: NDArray[np.float32], targets_N: NDArray[np.int64]) -> None:
        self.size = len(images_NP)
        padded = np.pad(images_NP.reshape(-1, N_SIDE, N_SIDE), ((0, 0), (1, 1), (1, 1)))
        # All nine shifts of every image, so that reading is one lookup: [9, N, P].
        self._shifted_SNP = np.stack(
            [
                padded[:, 1 + dy : 1 + dy + N_SIDE, 1 + dx : 1 + dx + N_SIDE].reshape(self.size, -1)
                for dy, dx in _NEIGHBOURS
            ]
        )
        self._targets_N = targets_N

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give inputs [B, 64] float32 in [0, 1] and targets [B] int64."""
        shifts_B = (uniform(seeds_B, 0) * len(_NEIGHBOURS)).astype(np.int64)
        return {
            "inputs": self._shifted_SNP[shifts_B, indices_B],
            "targets": self._targets_N[indices_B],
        }


def find_sizes(request: DataRequest) -> dict[str, int]:  # noqa: ARG001 (needs no data folder)
    """Give the sizes of the splits; raises DataError if scikit-learn is not installed."""
    _file()
    return dict(SIZES)


def open_sources(request: DataRequest) -> dict[str, Source]:  # noqa: ARG001 (needs no data folder)
    """Open the four splits: a fixed random order, the first 1,000 to train."""
    images_NP, targets_N = _read()
    order = np.random.Generator(np.random.Philox(0)).permutation(len(images_NP))
    train, validation, test = np.split(order, np.cumsum([SIZES["train"], SIZES["validation"]]))
    eval_train = train[fixed_subset(len(train), SIZES["eval_train"])]
    plain = {"eval_train": eval_train, "validation": validation, "test": test}
    sources: dict[str, Source] = {
        name: ArraySource(inputs=images_NP[rows], targets=targets_N[rows])
        for name, rows in plain.items()
    }
    return {"train": ShiftedDigits(images_NP[train], targets_N[train]), **sources}


def _file() -> Path:
    """Find the file without importing scikit-learn, which takes a second."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("digits needs scikit-learn, which holds its data: pip install scikit-learn")
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


def _read() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    path = _file()
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(f"cannot read {path} ({error}); reinstall scikit-learn") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DataError(f"{path} is not the file that digits is defined on; reinstall scikit-learn")
    table = np.loadtxt(data.decode().splitlines(), delimiter=",", dtype=np.float32)
    return table[:, :-1] / np.float32(PIXEL_MAX), table[:, -1].astype(np.int64)
