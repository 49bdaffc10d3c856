"""Checkpoints come back as they were written, and a crash leaves the old one or the new one."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pacebench import checkpoint
from pacebench.checkpoint import Bits, load_tree, save_tree
from pacebench.errors import StoreError

arrays = hnp.arrays(
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, max_side=3),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | arrays
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        pairs = zip(left, right, strict=False)
        return (
            type(left) is type(right) and len(left) == len(right) and all(same(*p) for p in pairs)
        )
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return type(left) is type(right) and bool(left == right)


@given(tree=trees)
def test_any_tree_comes_back_as_it_was(tree: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tree") / "state.npz"
    save_tree(path, tree)
    assert same(load_tree(path), tree)


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    tree = {"a": np.arange(5.0), "b": [1, 2.5, "text"]}
    save_tree(tmp_path / "one.npz", tree)
    save_tree(tmp_path / "two.npz", tree)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_bits_of_an_unknown_dtype_come_back(tmp_path: Path) -> None:
    save_tree(tmp_path / "s.npz", {"x": Bits("bfloat16", np.array([1, 2], np.uint16))})
    back = load_tree(tmp_path / "s.npz")["x"]
    assert back.dtype == "bfloat16"
    assert back.bits.tolist() == [1, 2]


def test_an_object_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"state\['inner'\]\[1\].*object"):
        save_tree(tmp_path / "s.npz", {"inner": [1, object()]})


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    np.savez(path, structure=np.array([{"evil": 1}], dtype=object))
    with pytest.raises(StoreError, match="damaged"):
        load_tree(path)


@pytest.mark.parametrize("cut", [0, 1, 100, -10])
def test_a_cut_file_is_reported_as_damaged(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "s.npz"
    save_tree(path, {"a": np.arange(100)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match="damaged"):
        load_tree(path)


@pytest.mark.parametrize("fails", ["savez", "fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "s.npz"
    save_tree(path, {"step": 1})

    def crash(*_: object, **__: object) -> None:
        raise OSError("crash")

    place: Any = {"savez": np, "fsync": os, "replace": checkpoint.Path}[fails]
    monkeypatch.setattr(place, fails, crash)
    with pytest.raises(OSError, match="crash"):
        save_tree(path, {"step": 2})
    monkeypatch.undo()
    assert load_tree(path) == {"step": 1}
