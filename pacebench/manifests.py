"""The manifest of a prepared data set: what was written, its bytes and crc32. It is written last.

For workloads; imports no framework.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Set
from pathlib import Path
from typing import Any

from pacebench.errors import DataError
from pacebench.spec import DataRequest, Report

MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20


def crc_of(path: Path) -> int:
    """Give a file's crc32."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def read_manifest(folder: Path, version: int, entries: Set[str]) -> dict[str, Any] | None:
    """Give a folder's manifest, None if there is none.

    It must have format `version`, `files` (name -> [bytes, crc32]) and the `entries`. Raises
    DataError if it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != version:
            raise ValueError(f"format {manifest['format']}, not {version}")
        if not {"files", *entries} <= manifest.keys():
            raise ValueError("entries are missing")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and prepare again") from error
    return manifest


def first_damaged(folder: Path, manifest: dict[str, Any], report: Report | None) -> Path | None:
    """Give the first file that is missing or has another size; None if all are whole.

    With `report`, which is told of every file, the sums are compared too.
    """
    total = sum(n_bytes for n_bytes, _ in manifest["files"].values())
    done = 0
    for name, (n_bytes, crc) in manifest["files"].items():
        path: Path = folder / name
        if not path.is_file() or path.stat().st_size != n_bytes:
            return path
        if report is not None:
            report(f"checking {name}", done, total)
            if crc_of(path) != crc:
                return path
        done += n_bytes
    return None


def folder_of(request: DataRequest, name: str, folder: str, help_text: str) -> Path:
    """Give a data set's folder below --data-dir; raises DataError if none was given."""
    if request.data_dir is None:
        raise DataError(f"{name} needs --data-dir DIR; {help_text}")
    return request.data_dir / folder


def check_manifest(
    manifest: dict[str, Any] | None, folder: Path, name: str, help_text: str
) -> dict[str, Any]:
    """Give the manifest if there is one and its files have their sizes; raises DataError."""
    if manifest is None:
        raise DataError(f"{name}: no {folder / MANIFEST}; {help_text}")
    for file, (n_bytes, _) in manifest["files"].items():
        path = folder / file
        there = path.stat().st_size if path.is_file() else None
        if there != n_bytes:
            state = "is missing" if there is None else f"has {there:,} bytes, not {n_bytes:,}"
            raise DataError(f"{path} {state}; prepare again: what is whole is kept")
    return manifest
