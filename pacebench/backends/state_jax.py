"""jax state as plain values and numpy arrays, and back."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pacebench.backends.base import NotResumableError
from pacebench.checkpoint import Bits


def leaves_of(state: Any) -> list[Any]:
    """Give a pytree's leaves for a checkpoint; raises NotResumableError for what cannot go."""
    return [_saved(leaf) for leaf in jax.tree.leaves(state)]


def restored(fresh: Any, saved: list[Any]) -> Any:
    """Give the state that `saved` holds, in structure and placement of the `fresh` state."""
    leaves, structure = jax.tree.flatten(fresh)
    if len(leaves) != len(saved):
        raise NotResumableError(
            f"the checkpoint holds {len(saved)} arrays but the submission's fresh state has "
            f"{len(leaves)}; give it save and restore"
        )
    values = [_restored(f, s) for f, s in zip(leaves, saved, strict=True)]
    return jax.tree.unflatten(structure, values)


def _saved(leaf: Any) -> Any:
    if callable(leaf):
        return None  # functions belong to the code, not to the state: a fresh one serves
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        array = np.asarray(leaf)
        is_known = array.dtype.kind in "biufc"
        return array if is_known else Bits(str(array.dtype), array.view(f"u{array.itemsize}"))
    if isinstance(leaf, bool | int | float | str):
        return leaf
    raise NotResumableError(
        f"the state holds a {type(leaf).__name__}; give the submission save and restore"
    )


def _restored(fresh: Any, saved: Any) -> Any:
    if callable(fresh):
        return fresh
    if isinstance(fresh, jax.Array):
        array = saved.bits.view(fresh.dtype) if isinstance(saved, Bits) else saved
        # An array that was free to go to any device must stay so, or it clashes with the others.
        place = fresh.sharding if fresh.committed else None
        # A copy of jax's own: device_put may keep the numpy buffer, and steps donate it.
        return jax.device_put(array, place).copy()
    return saved
