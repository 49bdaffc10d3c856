"""Reading one CIFAR-10 batch file: a pickle of which nothing is executed.

The files are Python 2 pickles of a dict with a numpy array. A pickle may name any function to be
called; here the five names that such a dict needs lead to small stand-ins of ours, which build
bytes and one array of unsigned bytes, and every other name is an error.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError

HELP = "workloads/cifar/README.md says where the files come from and how to check them"
N_BYTES_PER_ROW = 3 * 32 * 32
N_CLASSES = 10
# What the unpickler, and our stand-ins in it, raise for bytes that are no such pickle.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchFile:
    """The rows of one file: pixels [N, 3072] (three planes of 32x32) and labels [N], 0 to 9."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def file_error(path: Path, what: str) -> DataError:
    """Give an error about a file of this workload: which, what is wrong, what to do."""
    return DataError(f"cifar: {path} {what}; {HELP}")


def read_batch_file(path: Path, max_rows: int) -> BatchFile:
    """Read a file of at most `max_rows` rows; raises DataError if it is anything else."""
    try:
        with path.open("rb") as file:
            content = _Unpickler(file, encoding="bytes").load()
    except OSError as error:
        raise file_error(path, f"cannot be read ({error.strerror})") from error
    except _DAMAGE as error:
        raise file_error(path, f"is no undamaged CIFAR-10 pickle ({error})") from error
    if not isinstance(content, dict) or not {b"data", b"labels"} <= set(content):
        raise file_error(path, "is a pickle, but not a dict with b'data' and b'labels'")
    return BatchFile(
        pixels=_checked_pixels(content[b"data"], path, max_rows),
        labels=_checked_labels(content[b"labels"], path, content[b"data"]),
    )


def _checked_pixels(array: Any, path: Path, max_rows: int) -> NDArray[np.uint8]:
    pixels = array.values if isinstance(array, _Array) else None
    if pixels is None or pixels.ndim != 2 or pixels.shape[1] != N_BYTES_PER_ROW:
        found = f"of shape {pixels.shape}" if pixels is not None else type(array).__name__
        raise file_error(path, f"has b'data' {found}, not bytes of shape (n, {N_BYTES_PER_ROW})")
    if not 1 <= len(pixels) <= max_rows:
        raise file_error(path, f"has {len(pixels):,} rows, not 1 to {max_rows:,}")
    return pixels


def _checked_labels(labels: Any, path: Path, array: _Array) -> NDArray[np.int64]:
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise file_error(path, "has b'labels' that are not a list of integers")
    assert array.values is not None  # checked with the pixels
    if len(labels) != len(array.values):
        raise file_error(path, f"has {len(labels):,} labels for {len(array.values):,} images")
    wrong = [label for label in labels if not 0 <= label < N_CLASSES]
    if wrong:
        row = labels.index(wrong[0])
        raise file_error(path, f"has the label {wrong[0]} in row {row}; labels are 0 to 9")
    return np.array(labels, np.int64)


class _Array:
    """Stands in for numpy's array: unsigned bytes, and nothing else."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: NDArray[np.uint8] | None = None

    def __setstate__(self, state: Any) -> None:
        """Take up (version, shape, type, is_fortran, data), numpy's state of an array."""
        _version, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _UnsignedByte) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("the array does not hold unsigned bytes")
        values = np.frombuffer(data, np.uint8)
        self.values = values.reshape(shape, order="F" if is_fortran else "C")


class _UnsignedByte:
    """Stands in for numpy's type of unsigned bytes."""

    __slots__ = ()

    def __init__(self, code: bytes | str, _is_aligned: int, _is_copied: int) -> None:
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"the array holds values of type {code!r}, not 'u1'")

    def __setstate__(self, _state: Any) -> None:
        """Take nothing up: single bytes have no byte order."""


def _new_array(_array_type: Any, _shape: Any, _code: Any) -> _Array:
    """Stands in for numpy's `_reconstruct`: an empty array, filled by its state."""
    return _Array()


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Stands in for `codecs.encode`, by which Python 3 writes bytes into an old pickle."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"bytes are encoded by {encoding!r}, not latin1")
    return text.encode("latin-1")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,  # numpy 2
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _UnsignedByte,
    ("_codecs", "encode"): _latin1_bytes,
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the stand-ins and imports nothing."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Give the stand-in; raises UnpicklingError for every other name."""
        if (module_name, global_name) not in _STAND_INS:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}, which no CIFAR-10 file does: "
                "do not trust this file"
            )
        return _STAND_INS[module_name, global_name]
