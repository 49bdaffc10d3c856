"""Reading one gzipped idx file, strictly: every byte that is not as it must be is an error.

Format (the MNIST page of LeCun, Cortes and Burges): two zero bytes, the type of the values (8 is
unsigned bytes), the number of axes, one big-endian 32-bit size per axis, then the values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError

HELP = "workloads/mnist/README.md says where the four files come from and how to check them"
TYPE_UINT8 = 8


def file_error(path: Path, what: str) -> DataError:
    """Give an error about a file of this workload: which, what is wrong, what to do."""
    return DataError(f"mnist: {path} {what}; {HELP}")


def read_size(path: Path, row_shape: tuple[int, ...]) -> int:
    """Give the number of rows that the header states, without reading the rows.

    Checks the header against `row_shape` and against the length that ends the gzip file, which a
    broken download does not match. Raises DataError.
    """
    with _opened(path) as file:
        n_rows = _read_header(file, path, row_shape)
    n_bytes = _header_size(row_shape) + n_rows * prod(row_shape)
    with path.open("rb") as raw:
        raw.seek(-4, 2)
        n_stated = int.from_bytes(raw.read(4), "little")  # RFC 1952: ISIZE, modulo 2^32
    if n_stated != n_bytes % 2**32:
        raise file_error(
            path,
            f"is cut off or damaged: {n_rows:,} rows of its header need {n_bytes:,} bytes, but "
            f"the end of the file says {n_stated:,}",
        )
    return n_rows


def read_rows(path: Path, row_shape: tuple[int, ...], max_rows: int) -> NDArray[np.uint8]:
    """Give the array [rows, *row_shape] of a file that holds at most `max_rows` rows.

    Raises DataError if anything in the file is not as the format and its header say.
    """
    with _opened(path) as file:
        n_rows = _read_header(file, path, row_shape)
        if n_rows > max_rows:
            raise file_error(path, f"states {n_rows:,} rows, more than the {max_rows:,} published")
        n_bytes = n_rows * prod(row_shape)
        data = _read(file, path, n_bytes + 1)  # one more, so that gzip comes to its end and checks
    if len(data) != n_bytes:
        found = "more" if len(data) > n_bytes else f"only {len(data):,}"
        raise file_error(path, f"needs {n_bytes:,} bytes for {n_rows:,} rows and holds {found}")
    return np.frombuffer(data, np.uint8).reshape(n_rows, *row_shape)


def _opened(path: Path) -> gzip.GzipFile:
    try:
        return gzip.GzipFile(path, "rb")
    except OSError as error:
        raise file_error(path, f"cannot be opened ({error.strerror})") from error


def _read(file: gzip.GzipFile, path: Path, n_bytes: int) -> bytes:
    try:
        return file.read(n_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise file_error(path, f"is no undamaged gzip file ({error})") from error


def _header_size(row_shape: tuple[int, ...]) -> int:
    return 4 + 4 * (1 + len(row_shape))


def _read_header(file: gzip.GzipFile, path: Path, row_shape: tuple[int, ...]) -> int:
    """Give the number of rows; raises DataError unless all else is as expected."""
    n_axes = 1 + len(row_shape)
    header = _read(file, path, _header_size(row_shape))
    if len(header) < _header_size(row_shape):
        raise file_error(path, f"ends within its header, after {len(header)} bytes")
    magic, n_rows, *found = struct.unpack(f">{1 + n_axes}I", header)
    wanted = TYPE_UINT8 << 8 | n_axes
    if magic != wanted:
        raise file_error(path, f"is not the kind of idx file expected: magic {magic}, not {wanted}")
    if tuple(found) != row_shape:
        raise file_error(path, f"has rows of shape {tuple(found)}, not {row_shape}")
    return int(n_rows)
