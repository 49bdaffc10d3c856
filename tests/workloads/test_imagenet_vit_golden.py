"""The vision transformers at full size against AlgoPerf's own values (`make test-full`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workloads.both import EVAL, by_path
from tests.workloads.test_parameters import published
from tests.workloads.vit_both import (
    FULL_VARIANTS,
    flax_logits,
    flax_params,
    torch_logits,
    torch_state,
)
from workloads.imagenet import vit_flax

pytestmark = pytest.mark.full

# They lie beside the repository, not in it.
GOLDEN = Path(__file__).parents[2].parent / "shared" / "spec" / "golden"
# shared/spec/README.md: relative to the largest value.
TOLERANCE = 1e-4
SIZE = (2, 224, 224, 3)


@cache
def golden(name: str) -> dict[str, Any]:
    """Read one of AlgoPerf's files of values."""
    path = GOLDEN / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: AlgoPerf's values are kept beside the repo")
    return json.loads(path.read_text())


def filled(name: str, framework: str) -> dict[str, NDArray[np.float32]]:
    """Fill AlgoPerf's list of parameters, by `_rule` in golden_vision.json."""
    arrays = {}
    for k, (path, shape) in enumerate(published(name, framework)["params"]):
        size = int(np.prod(shape))
        wave = np.sin(0.37 * np.arange(1, size + 1) + k)
        leaf = path.replace("/", ".").rpartition(".")[2]
        if leaf == "bias":
            wave = 0.1 * wave
        elif leaf == "scale" or (leaf == "weight" and len(shape) == 1):
            wave = 1 + 0.1 * wave
        else:
            n_outputs = shape[-1] if framework == "jax" else shape[0]
            wave = wave * np.sqrt(2 / (size / n_outputs))
        arrays[path] = wave.reshape(shape).astype(np.float32)
    return arrays


def tree_of(arrays: dict[str, Any]) -> dict[str, Any]:
    """Turn paths into nested dicts."""
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *modules, leaf = path.split("/")
        branch = tree
        for module in modules:
            branch = branch.setdefault(module, {})
        branch[leaf] = array
    return tree


def in_our_names(arrays: dict[str, Any]) -> dict[str, Any]:
    """Rename AlgoPerf's torch parameters; its MAP head has keys first, then values, in one."""
    found = {}
    for name, array in arrays.items():
        if "map.mha.kv_proj" in name:
            keys, values = np.split(array, 2)
            found[name.replace("mha.kv_proj", "attention.key")] = keys
            found[name.replace("mha.kv_proj", "attention.value")] = values
        else:
            renamed = name.replace("mha.q_proj", "attention.query")
            found[renamed.replace("mha.out_proj", "attention.out")] = array
    return found


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
@pytest.mark.parametrize("fill", ["jax", "pytorch"])
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_logits_are_algoperfs(name: str, fill: str, call: Any) -> None:
    config = FULL_VARIANTS[name]
    arrays = filled(name, fill)
    if fill == "jax":
        state = torch_state(config, tree_of(arrays))
        carried = by_path(flax_params(config, state))  # what flax is called with
        assert all(np.array_equal(carried[path], arrays[path]) for path in arrays)
    else:
        state = in_our_names(arrays)
    inputs = np.sin(0.001 * np.arange(1, np.prod(SIZE) + 1)).reshape(SIZE).astype(np.float32)
    logits = call(config, state, {"inputs": inputs}, EVAL).astype(np.float64)
    wanted = golden("golden_vision")[f"{name}/{fill}/eval"]
    assert list(logits.shape) == wanted["shape"]
    largest = np.abs(logits).max()
    worst = np.abs(logits.ravel()[:8] - wanted["first8"]).max()
    assert worst <= TOLERANCE * largest, worst / largest
    # All values: the sum moves by at most the number of values times what one may be off.
    assert logits.sum() == pytest.approx(wanted["sum"], abs=TOLERANCE * wanted["abs_sum"])
    assert np.abs(logits).sum() == pytest.approx(wanted["abs_sum"], rel=TOLERANCE)


@pytest.mark.parametrize("name", ["imagenet_vit", "imagenet_vit_map"])
def test_initial_values_are_algoperfs_for_its_key(name: str) -> None:
    config = FULL_VARIANTS[name]
    key = jax.random.split(jax.random.PRNGKey(0))[0]  # golden_vision_init.json, `_note`
    init = jax.jit(vit_flax.build(config).init, static_argnames="mode")
    params = init(key, {"inputs": np.ones((1, 224, 224, 3), np.float32)}, mode=EVAL)["params"]
    wanted = golden("golden_vision_init")[f"{name}/jax"]
    found = by_path(params)
    assert set(found) == set(wanted)
    for path, (first, deviation, largest) in wanted.items():
        values = found[path].astype(np.float64)
        fingerprint = [values.flat[0], values.std(), np.abs(values).max()]
        np.testing.assert_allclose(
            fingerprint, [first, deviation, largest], 1e-4, 1e-12, True, path
        )
