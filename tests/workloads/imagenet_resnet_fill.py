"""The fills of AlgoPerf's vision models, and the outputs that they gave there (AlgoPerf v0.6).

Both stand in shared/spec/golden/golden_vision.json, beside the repository; `_rule` is its rule.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.backends.carry import Tree
from tests.workloads.test_parameters import LISTS, published

GOLDEN = LISTS.parent / "golden" / "golden_vision.json"


def golden(entry: str) -> dict[str, Any]:
    """Read one entry of AlgoPerf's outputs."""
    if not GOLDEN.is_file():
        pytest.skip(f"{GOLDEN} is not there: AlgoPerf's outputs are kept beside the repository")
    return json.loads(GOLDEN.read_text())[entry]


def filled(position: int, name: str, shape: tuple[int, ...], axis_out: int) -> NDArray[np.float32]:
    """Fill one parameter as `_rule` in the file says; `axis_out` is the axis of its outputs."""
    size = int(np.prod(shape))
    waves = np.sin(0.37 * (np.arange(size, dtype=np.float64) + 1) + position)
    if name.endswith("bias"):
        values = 0.1 * waves
    elif name.endswith("scale") or len(shape) == 1:
        values = 1 + 0.1 * waves
    else:
        values = waves * np.sqrt(2 / (size / shape[axis_out]))
    return values.reshape(shape).astype(np.float32)


def images() -> NDArray[np.float32]:
    """Give the two images of `_rule`."""
    shape = (2, 224, 224, 3)
    return np.sin(0.001 * (np.arange(np.prod(shape)) + 1.0)).reshape(shape).astype(np.float32)


def jax_fill(name: str) -> tuple[Tree, Tree]:
    """Give parameters and batch statistics as AlgoPerf's jax was filled."""
    lists = published(name, "jax")
    trees: tuple[Tree, Tree] = {}, {}
    for i, (path, shape) in enumerate(lists["params"]):
        put(trees[0], path, filled(i, path, tuple(shape), -1))
    for path, shape in lists["state"]:
        start = np.zeros if path.endswith("mean") else np.ones
        put(trees[1], path.removeprefix("batch_stats/"), start(shape, np.float32))
    return trees


def put(tree: Tree, path: str, values: NDArray[Any]) -> None:
    """Put a leaf into nested dicts."""
    *modules, leaf = path.split("/")
    for module in modules:
        tree = tree.setdefault(module, {})
    tree[leaf] = values


def torch_fill(name: str) -> dict[str, NDArray[np.float32]]:
    """Give parameters as AlgoPerf's torch was filled."""
    params = enumerate(published(name, "pytorch")["params"])
    return {n: filled(i, n, tuple(shape), 0) for i, (n, shape) in params}
