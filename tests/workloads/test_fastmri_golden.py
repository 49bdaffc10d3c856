"""The U-Nets of fastmri at full size against AlgoPerf's own values (`make test-full`)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.backends.carry import to_torch
from tests.workloads.both import EVAL, by_path
from tests.workloads.fastmri_both import FULL_VARIANTS, flax_images, flax_params, torch_images
from tests.workloads.pair import TOLERANCE
from tests.workloads.test_imagenet_vit_golden import golden, tree_of
from tests.workloads.test_parameters import published
from workloads.fastmri import unet_flax
from workloads.fastmri.unet import layout_of

pytestmark = pytest.mark.full


def filled(name: str, framework: str) -> dict[str, NDArray[np.float32]]:
    """Fill AlgoPerf's list of parameters, by `_rule_fastmri` in golden_vision.json."""
    arrays = {}
    for k, (path, shape) in enumerate(published(name, framework)["params"]):
        z = np.random.RandomState(1000 + k).standard_normal(shape)
        leaf = path.replace("/", ".").rpartition(".")[2]
        if leaf == "bias":
            z = 0.1 * z
        elif leaf == "scale" or (leaf == "weight" and len(shape) == 1):
            z = 1 + 0.1 * z
        else:
            n_outputs = shape[-1] if framework == "jax" else shape[0]
            z = z * np.sqrt(2 / (z.size / n_outputs))
        arrays[path] = z.astype(np.float32)
    return arrays


def in_our_name(name: str) -> str:
    """Rename AlgoPerf's torch parameters: its norms are places 1 and 5 of a sequence."""
    for place, ours in (("1", "norm_0"), ("5", "norm_1")):
        name = name.replace(f"conv_layers.{place}.", f"conv_layers.{ours}.")
    return name


@pytest.mark.parametrize("call", [torch_images, flax_images])
@pytest.mark.parametrize("fill", ["jax", "pytorch"])
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_images_are_algoperfs(name: str, fill: str, call: Any) -> None:
    config = FULL_VARIANTS[name]
    arrays = filled(name, fill)
    if fill == "jax":
        state = to_torch(tree_of(arrays), {}, layout_of(config))
        carried = by_path(flax_params(config, state))  # what flax is called with
        assert all(np.array_equal(carried[path], arrays[path]) for path in arrays)
    else:
        state = {in_our_name(path): array for path, array in arrays.items()}
    inputs = np.random.RandomState(0).standard_normal((2, 64, 64)).astype(np.float32)
    found = call(config, state, {"inputs": inputs}, EVAL).astype(np.float64)
    wanted = golden("golden_vision")[f"{name}/{fill}/eval"]
    assert list(found.shape) == wanted["shape"]
    worst = np.abs(found.ravel()[:8] - wanted["first8"]).max() / np.abs(found).max()
    assert worst <= TOLERANCE, worst
    # All values: the sum moves by at most the number of values times what one may be off.
    assert found.sum() == pytest.approx(wanted["sum"], abs=TOLERANCE * wanted["abs_sum"])
    assert np.abs(found).sum() == pytest.approx(wanted["abs_sum"], rel=TOLERANCE)


@pytest.mark.parametrize("name", ["fastmri", "fastmri_layernorm"])
def test_initial_values_are_algoperfs_for_its_key(name: str) -> None:
    key = jax.random.split(jax.random.PRNGKey(0))[0]  # golden_vision_init.json, `_note`
    init = jax.jit(unet_flax.build(FULL_VARIANTS[name]).init, static_argnames="mode")
    found = by_path(init(key, {"inputs": np.zeros((1, 32, 32), np.float32)}, mode=EVAL)["params"])
    wanted = golden("golden_vision_init")[f"{name}/jax"]
    assert set(found) == set(wanted)
    for path, (first, deviation, largest) in wanted.items():
        values = found[path].astype(np.float64)
        fingerprint = [values.flat[0], values.std(), np.abs(values).max()]
        np.testing.assert_allclose(
            fingerprint, [first, deviation, largest], 1e-4, 1e-12, True, path
        )
