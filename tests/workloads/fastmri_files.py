"""Small volumes in fastMRI's layout, archives of them, and examples made the slow way."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pacebench.spec import DataRequest, Source
from workloads.fastmri import data
from workloads.fastmri.scans import ScanSet

TRAIN, VALIDATION = "knee_singlecoil_train", "knee_singlecoil_val"
SMALL = ScanSet(
    name="fastmri",
    folder="fastmri",
    n_side=16,
    n_validation_volumes=2,
    sizes={"train": 6, "eval_train": 4, "validation": 4, "test": 2},
    help="see the README",
)


def write_volume(path: Path, seed: int = 0, n_slices: int = 1, **changes: Any) -> None:
    """Write noise as a volume; `changes` replace datasets and `max`, None leaves one out."""
    width = changes.pop("width", 320)
    n_side = changes.pop("n_side", 320)
    generator = np.random.default_rng(seed)
    shape = (n_slices, 2 * n_side, width)
    noise = generator.normal(size=shape) + 1j * generator.normal(size=shape)
    content = {
        "kspace": noise.astype(np.complex64),
        "reconstruction_esc": generator.random((n_slices, n_side, n_side)).astype(np.float32),
        "max": 1.0 + seed,
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if value is None:
                continue
            if name == "max":
                file.attrs[name] = value
            else:
                file[name] = value


def tar_of(folder: Path, archive: Path, inside: str) -> Path:
    """Pack a folder's files; the name's end chooses the compression."""
    mode = {".xz": "w:xz", ".gz": "w:gz", ".tar": "w"}[archive.suffix]
    options = {"preset": 0} if archive.suffix == ".xz" else {}
    with tarfile.open(archive, mode, **options) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{inside}/{path.name}")
    return archive


def write_folders(data_dir: Path) -> Path:
    """Write SMALL: three volumes of two slices in each folder, of two widths."""
    for folder, first in ((TRAIN, 0), (VALIDATION, 10)):
        for i in range(3):
            path = data_dir / "fastmri" / folder / f"file{i}.h5"
            write_volume(path, seed=first + i, n_slices=2, n_side=16, width=18 + 2 * (i % 2))
    return data_dir


def sources_of(data_dir: Path, n_threads: int = 1, **changes: bool) -> dict[str, Source]:
    """Open SMALL."""
    return data.open_sources(SMALL, DataRequest(data_dir=data_dir, n_threads=n_threads, **changes))


def slow_example(kspace: Any, target: Any, kept: Any) -> tuple[Any, Any, float, float]:
    """Process a slice step by step, as facts_vision.md section 4.2 says, in float64."""
    n_side = len(target)
    n_rows, width = kspace.shape
    shifted = np.fft.ifftshift(np.where(kept, kspace, 0).astype(complex))
    image = np.fft.fftshift(np.fft.ifft2(shifted)) * np.sqrt(n_rows * width)
    top, left = (n_rows - n_side) // 2, (width - n_side) // 2
    cropped = np.abs(image[top : top + n_side, left : left + n_side])
    mean, std = cropped.mean(), cropped.std()
    return *(np.clip((x - mean) / std, -6, 6) for x in (cropped, target)), mean, std
