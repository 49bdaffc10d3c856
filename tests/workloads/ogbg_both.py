"""A graph network of ogbg in both frameworks with the same weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Loss
from tests.workloads.pair import (
    Pair,
    random_weights,
)
from workloads.ogbg import gnn_flax, gnn_torch
from workloads.ogbg.gnn import FULL, GELU, MODEL_SIZE, SILU, Config, layout_of

FULL_VARIANTS = {"ogbg": FULL, "ogbg_gelu": GELU, "ogbg_silu": SILU, "ogbg_model_size": MODEL_SIZE}
# No two of its widths are equal, so that nothing fits by accident.
TINY = Config(n_outputs=5, latent=6, hidden=(7,), n_steps=2)
TINY_VARIANTS = {
    "base": TINY,
    "gelu": replace(TINY, activation="gelu"),
    "silu": replace(TINY, activation="silu"),
    "model_size": replace(TINY, hidden=(8, 7)),
}


def random_graphs(
    config: Config, n_shards: int, n_nodes: int, n_edges: int, n_graphs: int, seed: int = 0
) -> dict[str, Any]:
    """Give shards of random graphs: edges between any two nodes of a graph, a node in each."""
    generator = np.random.default_rng(seed)
    graphs = np.sort(generator.integers(0, n_graphs, (n_shards, n_nodes)), axis=1)
    graphs[:, :n_graphs] = np.arange(n_graphs)
    graphs.sort(axis=1)
    senders = generator.integers(0, n_nodes, (n_shards, n_edges))
    receivers = np.zeros_like(senders)
    for shard in range(n_shards):
        for edge, sender in enumerate(senders[shard]):
            own = np.flatnonzero(graphs[shard] == graphs[shard, sender])
            receivers[shard, edge] = generator.choice(own)
    inputs = (
        generator.integers(0, 20, (n_shards, n_nodes, 9)).astype(np.uint8),
        generator.integers(0, 5, (n_shards, n_edges, 3)).astype(np.uint8),
        *(places.astype(np.int32) for places in (senders, receivers, graphs)),
    )
    shape = (n_shards, n_graphs, config.n_outputs)
    return {
        "inputs": inputs,
        "targets": generator.integers(0, 2, shape).astype(np.float32),
        "weights": (generator.random(shape) < 0.6).astype(np.float32),
    }


PAIR = Pair(
    torch_build=gnn_torch.build,
    flax_build=gnn_flax.build,
    layout_of=layout_of,
    loss=Loss.SIGMOID_CROSS_ENTROPY,
    smallest_batch=lambda config: random_graphs(config, 1, 3, 4, 2),
)
torch_shapes, flax_shapes = PAIR.torch_shapes, PAIR.flax_shapes
flax_params, torch_state = PAIR.flax_params, PAIR.torch_state
torch_model, paths_by_name = PAIR.torch_model, PAIR.paths_by_name
torch_logits, flax_logits = PAIR.torch_outputs, PAIR.flax_outputs
torch_gradients, flax_gradients = PAIR.torch_gradients, PAIR.flax_gradients


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters of which every one matters."""
    return random_weights(torch_shapes(config), seed)
