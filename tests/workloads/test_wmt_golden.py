"""The transformers of wmt against AlgoPerf's own values, and both frameworks at full size."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workloads.both import EVAL
from tests.workloads.pair import TOLERANCE, assert_close
from tests.workloads.wmt_both import (
    FULL_VARIANTS,
    algoperf_torch_name,
    flax_logits,
    random_state,
    rows,
    torch_logits,
    torch_shapes,
)
from workloads.wmt.transformer import Config

# They lie beside the repository, not in it.
GOLDEN = Path(__file__).parents[2].parent / "shared" / "spec" / "golden"
PACKING = ("position", "segmentation")


def golden(name: str) -> dict[str, Any]:
    """Read one of AlgoPerf's files of values."""
    path = GOLDEN / f"golden_{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: AlgoPerf's values are kept beside the repo")
    return json.loads(path.read_text())


def config_of(given: dict[str, Any]) -> Config:
    """Give the configuration that AlgoPerf's torch arguments stand for."""
    return Config(
        n_vocab=given["ntoken"],
        width=given["d_model"],
        n_heads=given["nhead"],
        mlp_width=given["d_hid"],
        n_layers=given["nlayers"],
        is_post_layer_norm=not given.get("pre_ln", True),
        attention_temperature=given.get("attention_temp", 1.0),
        is_glu=given.get("glu", False),
        activation=given.get("activation", "relu"),
    )


def filled(config: Config) -> dict[str, NDArray[np.float32]]:
    """Fill AlgoPerf's torch parameters by the files' `fill_rule`; gives ours."""
    state = {}
    for name, shape in torch_shapes(config).items():
        theirs, part, n_parts = algoperf_torch_name(name)
        size = n_parts * int(np.prod(shape))
        values = 0.1 * np.sin(0.1 * np.arange(size) + zlib.crc32(theirs.encode()) % 1000)
        if len(shape) == 1 and theirs.endswith("weight"):
            values = 1 + values
        state[name] = np.split(values, n_parts)[part].reshape(shape).astype(np.float32)
    return state


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_logits_are_algoperfs(name: str, call: Any) -> None:
    wanted = golden(name)
    config = config_of(wanted["config"])
    packed = {k: np.array(v, np.int32) for k, v in wanted["inputs"].items()}
    unpacked = {k: v for k, v in packed.items() if not k.endswith(PACKING)}
    counts = packed["targets"] > 0  # the files: the other rows are of no account
    # The variants differ in nothing that packing touches, so flax compiles one without it.
    cases = {"output_packed": packed, "output": unpacked}
    for key in cases if call is torch_logits or name == "wmt" else ["output_packed"]:
        logits = call(config, filled(config), cases[key], EVAL)
        output = np.array(wanted[key])
        assert logits.shape == output.shape
        error = np.abs(logits - output)[counts].max()
        assert error <= TOLERANCE * np.abs(output[counts]).max(), key


@pytest.mark.full
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_the_full_models_agree_on_carried_weights(name: str) -> None:
    config = FULL_VARIANTS[name]
    state, batch = random_state(config), rows(config, 2, 40, 32)
    found = torch_logits(config, state, batch, EVAL)
    assert found.shape == (2, 32, 32_000)
    counts = batch["weights"] > 0
    assert_close(found[counts], flax_logits(config, state, batch, EVAL)[counts], name)
