"""Reads the h5 files of fastMRI: one volume each, as they are published or prepared.

A published file has `kspace`, complex64 [slices, rows, columns]. A prepared one has
`hybrid_kspace` in its place, complex64 [slices, S, columns] (`workloads.fastmri.reconstruction`).
Both have `reconstruction_esc`, float32 [slices, S, S], and the attribute `max`.

Data that lies in a file in one piece is read past the h5 library, which does one thing at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.fastmri.reconstruction import to_hybrid

KSPACE = "kspace"
HYBRID = "hybrid_kspace"
TARGET = "reconstruction_esc"
MAXIMUM = "max"


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """What is known of a volume without reading its slices."""

    path: Path
    n_slices: int
    n_rows: int
    width: int
    n_side: int
    maximum: float
    """The largest value of the volume's images; 0 where the file does not say."""
    is_hybrid: bool
    offsets: tuple[int, int] | None
    """Where k-space and target begin, if each lies in one piece."""

    @property
    def n_bytes(self) -> int:
        """How much its slices take in memory, in hybrid space."""
        return self.n_slices * self.n_side * (self.width * 8 + self.n_side * 4)


def read_volume(path: Path, n_side: int) -> Volume:
    """Read what a file says of its volume; raises DataError if it is not one of `n_side`."""
    with opened(path) as file:
        is_hybrid = HYBRID in file
        kspace, target = _dataset(file, HYBRID if is_hybrid else KSPACE), _dataset(file, TARGET)
        _check(kspace, np.complex64, 3)
        _check(target, np.float32, 3)
        n_slices, n_rows, width = kspace.shape
        if target.shape != (n_slices, n_side, n_side) or n_slices == 0:
            raise DataError(
                f"{TARGET} has shape {target.shape}; with {n_slices} slices of k-space it is "
                f"({n_slices}, {n_side}, {n_side})"
            )
        if width % 2 or n_rows % 2 or width < n_side or n_rows < n_side:
            raise DataError(
                f"{kspace.name.strip('/')} has {n_rows} rows and {width} columns; both are even "
                f"and at least {n_side}"
            )
        maximum = float(file.attrs.get(MAXIMUM, 0.0))
        if not (np.isfinite(maximum) and maximum >= 0):
            raise DataError(f"the attribute '{MAXIMUM}' is {maximum}")
        return Volume(
            path=path,
            n_slices=n_slices,
            n_rows=n_rows,
            width=width,
            n_side=n_side,
            maximum=maximum,
            is_hybrid=is_hybrid,
            offsets=_offsets(kspace, target),
        )


def read_slice(volume: Volume, index: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Give a slice in hybrid space, [S, W], and its target, [S, S]; raises DataError."""
    kspace = np.empty((volume.n_rows, volume.width), np.complex64)
    target = np.empty((volume.n_side, volume.n_side), np.float32)
    if volume.offsets is None:
        with opened(volume.path) as file:
            file[HYBRID if volume.is_hybrid else KSPACE].read_direct(kspace, np.s_[index])
            file[TARGET].read_direct(target, np.s_[index])
    else:
        descriptor = os.open(volume.path, os.O_RDONLY)
        try:
            for array, offset in zip((kspace, target), volume.offsets, strict=True):
                _fill(descriptor, array, offset + index * array.nbytes)
        finally:
            os.close(descriptor)
    return (kspace if volume.is_hybrid else to_hybrid(kspace, volume.n_side)), target


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an h5 file (h5py.File); what goes wrong in it becomes a DataError with its name."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be read as h5 ({str(error).splitlines()[0]}); get it again"
        ) from error


def _dataset(file: Any, name: str) -> Any:
    import h5py

    if not isinstance(file.get(name), h5py.Dataset):
        raise DataError(
            f"it has no dataset '{name}' (it has {', '.join(file) or 'none'}); files of the "
            f"single-coil knee data for training and validation have {KSPACE} and {TARGET}"
        )
    return file[name]


def _check(dataset: Any, dtype: Any, n_axes: int) -> None:
    if dataset.dtype != dtype or dataset.ndim != n_axes:
        raise DataError(
            f"{dataset.name.strip('/')} is {dataset.dtype} with {dataset.ndim} axes, not "
            f"{np.dtype(dtype)} with {n_axes}"
        )


def _offsets(*datasets: Any) -> tuple[int, int] | None:
    """Give where the data of two datasets begins; None if one is in pieces or not plain."""
    found = [dataset.id.get_offset() for dataset in datasets]
    is_plain = all(dataset.dtype.isnative and dataset.external is None for dataset in datasets)
    if not is_plain or None in found or datasets[0].file.userblock_size:
        return None
    return found[0], found[1]


def _fill(descriptor: int, array: NDArray[Any], offset: int) -> None:
    """Fill an array from a place in a file; raises DataError where the file ends before."""
    view, done = memoryview(array).cast("B"), 0
    while done < len(view):
        n_read = os.preadv(descriptor, [view[done:]], offset + done)
        if n_read == 0:
            raise DataError("the file is cut off; get it again")
        done += n_read
