"""Torch state as a tree of plain values and numpy arrays, and back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from pacebench.backends.base import NotResumableError
from pacebench.checkpoint import Bits


@runtime_checkable
class HasStateDict(Protocol):
    """Modules, optimizers, schedulers and whatever saves itself as they do."""

    def state_dict(self) -> dict[str, Any]:
        """Give the state."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take the state up."""
        ...


def tree_of(value: Any, where: str) -> Any:
    """Give `value` as a tree for a checkpoint; raises NotResumableError naming what cannot go."""
    if isinstance(value, torch.Tensor):
        return _array_of(value)
    if value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic):
        return value
    if isinstance(value, HasStateDict):
        return tree_of(value.state_dict(), f"{where}.state_dict()")
    if isinstance(value, Mapping):
        return {key: tree_of(v, f"{where}[{key!r}]") for key, v in value.items()}
    if isinstance(value, list | tuple | deque):
        return type_of(value)(tree_of(v, f"{where}[{i}]") for i, v in enumerate(value))
    raise NotResumableError(
        f"{where} is a {type(value).__name__}, which has no state_dict; give the submission "
        "save(run, state) and restore(run, state, tree) to make it resumable"
    )


def restored(fresh: Any, tree: Any) -> Any:
    """Give the state that `tree` holds, loading into the objects of the `fresh` state.

    An object's `load_state_dict` gets what its own `state_dict` gave: a queue is a queue again.
    """
    if isinstance(fresh, HasStateDict):
        fresh.load_state_dict(restored(fresh.state_dict(), tree))
        return fresh
    if isinstance(fresh, torch.Tensor) and isinstance(tree, np.ndarray | Bits):
        return _tensor_of(tree).to(fresh.device)
    if isinstance(fresh, np.ndarray | np.generic):
        return tree.copy() if isinstance(tree, np.ndarray) else tree
    if isinstance(fresh, Mapping) and isinstance(tree, Mapping):
        return {k: restored(fresh.get(k), v) for k, v in tree.items()}
    if isinstance(fresh, list | tuple | deque) and isinstance(tree, list | tuple):
        return _sequence(fresh, tree)
    return _with_tensors(tree)


def _sequence(fresh: Any, tree: Any) -> Any:
    """Give the items of a list, tuple, named tuple or queue; only queues change their length."""
    if isinstance(fresh, deque):
        return deque(_with_tensors(tree), fresh.maxlen)
    if len(fresh) != len(tree):
        return _with_tensors(tree)
    values = [restored(f, t) for f, t in zip(fresh, tree, strict=True)]
    return type(fresh)(*values) if hasattr(fresh, "_fields") else type(fresh)(values)


def type_of(value: list[Any] | tuple[Any, ...] | deque[Any]) -> type:
    """Give list or tuple; named tuples count as tuples, queues as lists."""
    return tuple if isinstance(value, tuple) else list


def _array_of(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        return Bits("bfloat16", tensor.view(torch.uint16).numpy().copy())
    return tensor.numpy().copy()


def _tensor_of(array: Any) -> torch.Tensor:
    if isinstance(array, Bits):
        return torch.from_numpy(array.bits.copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def _with_tensors(tree: Any) -> Any:
    if isinstance(tree, np.ndarray | Bits):
        return _tensor_of(tree)
    if isinstance(tree, Mapping):
        return {k: _with_tensors(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type_of(tree)(_with_tensors(v) for v in tree)
    return tree
