"""The graph networks of ogbg against AlgoPerf's own values, and both frameworks at full size."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workloads.ogbg_both import (
    FULL_VARIANTS,
    flax_gradients,
    flax_logits,
    random_graphs,
    random_state,
    torch_gradients,
    torch_logits,
    torch_shapes,
)
from tests.workloads.pair import TOLERANCE, assert_close
from workloads.ogbg.gnn import Config

# They lie beside the repository, not in it.
GOLDEN = Path(__file__).parents[2].parent / "shared" / "spec" / "golden"


def golden(name: str) -> dict[str, Any]:
    """Read one of AlgoPerf's files of values."""
    path = GOLDEN / f"golden_{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: AlgoPerf's values are kept beside the repo")
    return json.loads(path.read_text())


def filled(config: Config) -> dict[str, NDArray[np.float32]]:
    """Fill AlgoPerf's torch parameters by the files' `fill_rule`; their names are ours."""
    state = {}
    for name, shape in torch_shapes(config).items():
        values = 0.1 * np.sin(0.1 * np.arange(np.prod(shape)) + zlib.crc32(name.encode()) % 1000)
        if len(shape) == 1 and name.endswith("weight"):
            values = 1 + values
        state[name] = values.reshape(shape).astype(np.float32)
    return state


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_logits_are_algoperfs(name: str, call: Any) -> None:
    wanted = golden(name)
    given, graph = wanted["config"], wanted["inputs"]
    config = Config(
        n_outputs=given["num_outputs"],
        latent=given["latent_dim"],
        hidden=tuple(given["hidden_dims"]),
        n_steps=given["num_message_passing_steps"],
        activation=given.get("activation_fn_name", "relu"),
    )
    # The three graphs as one shard, and again as the second of two, in another order of edges.
    turned = np.arange(len(graph["senders"]))[::-1]
    inputs = (
        np.stack([np.array(graph["nodes"], np.float32)] * 2),
        np.stack([np.array(graph["edges"], np.float32)[o] for o in (turned[::-1], turned)]),
        np.stack([np.array(graph["senders"], np.int32)[o] for o in (turned[::-1], turned)]),
        np.stack([np.array(graph["receivers"], np.int32)[o] for o in (turned[::-1], turned)]),
        np.stack([np.repeat(np.arange(3, dtype=np.int32), graph["n_node"])] * 2),
    )
    output = np.array(wanted["output"])
    zeros = np.zeros((2, *output.shape), np.float32)
    batch = {"inputs": inputs, "targets": zeros, "weights": zeros}
    for shard in call(config, filled(config), batch):
        assert shard.shape == output.shape
        assert np.abs(shard - output).max() <= TOLERANCE * np.abs(output).max()


@pytest.mark.full
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_the_full_models_agree_on_carried_weights(name: str) -> None:
    config = FULL_VARIANTS[name]
    state, batch = random_state(config), random_graphs(config, 2, 60, 120, 4)
    found, gradients = torch_gradients(config, state, batch)
    wanted, other = flax_gradients(config, state, batch)
    assert found.shape == (2, 4, 128)
    assert_close(found, wanted, name)
    for parameter, gradient in gradients.items():
        assert_close(gradient, other[parameter], parameter)
