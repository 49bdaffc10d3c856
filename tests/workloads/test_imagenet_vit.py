"""The vision transformers of imagenet: both frameworks against each other and a plain reference."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.errors import PacebenchError
from tests.workloads import vit_reference
from tests.workloads.both import EVAL, by_path
from tests.workloads.pair import assert_close
from tests.workloads.vit_both import (
    TINY_VARIANTS,
    flax_gradients,
    flax_logits,
    flax_params,
    images,
    random_state,
    torch_gradients,
    torch_logits,
)
from workloads.imagenet.vit import FULL, MINI, Config, positions

GOLDEN = Path(__file__).parents[2].parent / "shared" / "spec" / "golden" / "golden_vision.json"
# One token and no block; heads of one and of several; every switch alone, and all together.
CASES: dict[str, dict[str, Any]] = {
    "no block": {"width": 8, "depth": 0, "n_heads": 1, "patch": 3, "n_side": 3},
    "one head": {"width": 8, "n_heads": 1, "patch": 2, "n_side": 8},
    "base": {},
    "glu": {"is_glu": True},
    "post_ln": {"is_post_layer_norm": True},
    "map": {"has_map_head": True},
    "all": {"is_glu": True, "is_post_layer_norm": True, "has_map_head": True},
}


@pytest.mark.parametrize("case", CASES)
def test_the_models_are_what_the_plain_reference_computes(case: str) -> None:
    sizes = {"width": 20, "depth": 2, "n_heads": 5, "patch": 5, "n_side": 10} | CASES[case]
    config, seed = Config(mlp_width=13, n_classes=4, **sizes), len(case)
    state, inputs = random_state(config, seed), images(config, 3, seed)
    wanted = vit_reference.logits(by_path(flax_params(config, state)), inputs, config)
    assert_close(torch_logits(config, state, {"inputs": inputs}, EVAL), wanted, "torch")
    assert_close(flax_logits(config, state, {"inputs": inputs}, EVAL), wanted, "flax")
    assert np.ptp(wanted, axis=0).min() > 1e-3  # the images differ, and it shows


def test_the_layer_norms_epsilon_is_one_millionth() -> None:
    # One token without a block: the bias takes the position off, and the norm sees a vector of
    # variance 4 · 10⁻⁶, whose length an epsilon of 10⁻⁶ changes by a tenth.
    config = Config(mlp_width=13, n_classes=4, **CASES["no block"])
    state, inputs = random_state(config), images(config, 1)
    small = 2e-3 * np.random.default_rng(0).normal(size=config.width)
    state["conv_patch_extract.bias"] = (small - positions(1, 1, config.width)[0]).astype(np.float32)
    state["conv_patch_extract.weight"] *= 1e-6
    wanted = vit_reference.logits(by_path(flax_params(config, state)), inputs, config)
    assert_close(torch_logits(config, state, {"inputs": inputs}, EVAL), wanted, "torch")
    assert_close(flax_logits(config, state, {"inputs": inputs}, EVAL), wanted, "flax")


@pytest.mark.parametrize(
    "config",
    [MINI, TINY_VARIANTS["glu"], TINY_VARIANTS["post_ln"], TINY_VARIANTS["map"]],
    ids=["mini", "glu", "post_ln", "map"],
)
def test_the_models_agree_in_outputs_and_gradients_on_carried_weights(config: Config) -> None:
    state, inputs = random_state(config), images(config, 4)
    batch = {"inputs": inputs, "targets": np.arange(4) % config.n_classes}
    torch_found, torch_slopes = torch_gradients(config, state, batch)
    flax_found, flax_slopes = flax_gradients(config, state, batch)
    assert_close(torch_found, flax_found, "logits")
    assert set(torch_slopes) == set(flax_slopes)
    largest = max(np.abs(slope).max() for slope in torch_slopes.values())
    for name, slope in torch_slopes.items():
        if name.endswith("key.bias"):
            # It adds one number to all scores of a query, which softmax takes off again.
            assert np.abs(slope).max() <= 1e-6 * largest, name
            assert np.abs(flax_slopes[name]).max() <= 1e-6 * largest, name
        else:
            assert np.abs(slope).max() > 0, name
            assert_close(slope, flax_slopes[name], name)


@pytest.mark.parametrize("n_side", [1, 2, 5])
@pytest.mark.parametrize("width", [8, 12, 64])
def test_positions_are_what_the_plain_loop_gives(n_side: int, width: int) -> None:
    config = Config(width=width, n_heads=1, patch=1, n_side=n_side)
    found = positions(n_side, n_side, width)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, vit_reference.position_rows(config), atol=1e-6)


def test_positions_count_columns_first() -> None:
    # 14 tokens per row: token 17 has y = 1 and x = 3. The first frequency is 1, the last 10⁻⁴.
    row = positions(14, 14, 384)[17]
    found = row[[0, 95, 96, 191, 192, 287, 288, 383]]
    wanted = [f(a) for v in (3.0, 1.0) for f in (math.sin, math.cos) for a in (v, v * 1e-4)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_positions_are_algoperfs() -> None:
    if not GOLDEN.is_file():
        pytest.skip(f"{GOLDEN} is not there: AlgoPerf's values are kept beside the repo")
    wanted = json.loads(GOLDEN.read_text())["posemb"]
    found = positions(FULL.n_tokens_per_side, FULL.n_tokens_per_side, FULL.width)
    assert [1, *found.shape] == wanted["shape"]
    np.testing.assert_allclose(found[0, :4], wanted["pe[0,0,:4]"], atol=1e-6)
    columns = [0, 1, 95, 96, 191, 192, 287, 288, 383]
    key = "pe[0,17,[0,1,95,96,191,192,287,288,383]]"
    np.testing.assert_allclose(found[17, columns], wanted[key], atol=1e-6)
    assert found.sum(dtype=np.float64) == pytest.approx(wanted["sum"], rel=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 5}, "5 heads do not share a width of 384"),
        ({"width": 6}, "not 6"),
        ({"n_side": 100}, "patches of 16 pixels do not cover images of 100"),
    ],
)
def test_a_configuration_that_does_not_come_out_even_is_an_error(
    change: dict[str, int], message: str
) -> None:
    with pytest.raises(PacebenchError, match=message):
        Config(**change)
