"""Checkpoints: a tree of plain values and numpy arrays in one .npz file, nothing unpickled.

The arrays are npy members of the archive; the structure is JSON in the member `structure`.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import StoreError


@dataclass(frozen=True, slots=True)
class Bits:
    """An array of a dtype that numpy's format does not know (bfloat16 …), as raw unsigned bits."""

    dtype: str
    bits: NDArray[Any]


def save_tree(path: Path, tree: Any) -> None:
    """Write `tree` to `path` aside, force it to the disk, then rename it into place.

    A tree is made of dicts (keys str or int), lists, tuples, None, bool, int, float, str, numpy
    arrays and scalars, and `Bits`. Raises StoreError for anything else; a crash at any moment
    leaves the old file or the new one.
    """
    arrays: dict[str, NDArray[Any]] = {}
    structure = json.dumps(_encode(tree, arrays, "state"))
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, structure=np.array(structure), **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def load_tree(path: Path) -> Any:
    """Read what `save_tree` wrote; raises StoreError if the file is damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return _decode(json.loads(str(archive["structure"])), archive)
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"checkpoint {path} is damaged ({error}); delete it to start this trial anew"
        ) from error


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk, so that a rename in it survives a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(value: Any, arrays: dict[str, NDArray[Any]], where: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        return {"array": _store(np.asarray(value), arrays)}
    if isinstance(value, Bits):
        return {"bits": _store(value.bits, arrays), "dtype": value.dtype}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str | int) for key in value):
            raise StoreError(f"cannot save {where}: its keys must be strings or integers")
        items = [[key, _encode(v, arrays, f"{where}[{key!r}]")] for key, v in value.items()]
        return {"dict": items}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(v, arrays, f"{where}[{i}]") for i, v in enumerate(value)]}
    raise StoreError(
        f"cannot save {where}: a {type(value).__name__} is neither a number, a text, an array nor "
        "a dict, list or tuple of them"
    )


def _store(array: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    name = f"a{len(arrays)}"
    arrays[name] = array
    return name


def _decode(node: Any, archive: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(node, dict):
        return node
    if "dtype" in node:
        return Bits(node["dtype"], archive[node["bits"]])
    ((kind, content),) = node.items()
    if kind == "float":
        return float.fromhex(content)
    if kind == "array":
        return archive[content]
    if kind == "dict":
        return {key: _decode(v, archive) for key, v in content}
    values = [_decode(v, archive) for v in content]
    return tuple(values) if kind == "tuple" else values
