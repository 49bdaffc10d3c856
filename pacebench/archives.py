"""What every reader of a downloaded archive needs: damage told from an end, and said in one line.

For workloads' `prepare`; training never imports this (nor, so, `tarfile`).
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pacebench.errors import DataError

CHUNK_BYTES = 1 << 20


@contextmanager
def archive_errors(where: Path | str) -> Iterator[None]:
    """Turn what a cut or foreign archive makes of its reader into a DataError."""
    try:
        yield
    except (
        tarfile.TarError,
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        lzma.LZMAError,
    ) as error:
        raise DataError(
            f"{where} is cut off or damaged ({error}); download it again, then run the same "
            "command: what was written is kept"
        ) from error


def check_tar_end(tar: tarfile.TarFile) -> None:
    """Raise ReadError where members end without the block of zeros that ends an archive.

    `tarfile` takes a file that was cut between two members, or whose next header is damaged, for
    a whole one. Reading on to the end also checks the compression's own sum.
    """
    file = tar.fileobj
    assert file is not None  # it is open
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its end is missing")
    while file.read(CHUNK_BYTES):
        pass
