"""The graph network of ogbg in plain numpy, written from the facts, one graph at a time.

facts_text_graph_ctr.md, section 2, "Model". Parameters are flax's, by path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


def logits(
    params: Mapping[str, NDArray[Any]],
    batch: Mapping[str, Any],
    config: Any,
    drop: Callable[[Array], Array] = lambda x: x,
) -> Array:
    """Give the logits [S, G, K]; `drop` is applied wherever units drop."""
    shape = batch["targets"].shape
    out = np.zeros(shape)
    for shard in range(shape[0]):
        nodes, edges, senders, receivers, graphs = (a[shard] for a in batch["inputs"])
        for graph in range(shape[1]):
            mine = np.flatnonzero(graphs == graph)
            own_edges = np.flatnonzero(np.isin(senders, mine))
            number = {int(node): i for i, node in enumerate(mine)}
            ends = [(number[int(senders[e])], number[int(receivers[e])]) for e in own_edges]
            out[shard, graph] = _one_graph(
                params, (nodes[mine], edges[own_edges], ends), config, drop
            )
    return out


def _one_graph(
    params: Mapping[str, NDArray[Any]],
    graph: tuple[Array, Array, list[tuple[int, int]]],
    config: Any,
    drop: Callable[[Array], Array],
) -> Array:
    features, edge_features, ends = graph
    nodes = [_dense(params, "node_embedding", x) for x in features]
    edges = [_dense(params, "edge_embedding", x) for x in edge_features]
    whole = np.zeros(config.n_outputs)
    counter = 0

    def mlp(x: Array, first: int) -> Array:
        for layer in range(len(config.hidden)):
            x = _dense(params, f"Dense_{first + layer}", x)
            norm = f"LayerNorm_{first + layer}"
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-6)
            x = x * params[f"{norm}/scale"] + params[f"{norm}/bias"]
            x = drop(ACTIVATIONS[config.activation](x))
        return x

    for _ in range(config.n_steps):
        n = len(config.hidden)
        edges = [
            mlp(np.concatenate([edge, nodes[s], nodes[r], whole]), counter)
            for edge, (s, r) in zip(edges, ends, strict=True)
        ]
        width = config.hidden[-1]
        sums = np.zeros((2, len(nodes), width))
        for edge, (s, r) in zip(edges, ends, strict=True):
            sums[0, s] += edge
            sums[1, r] += edge
        nodes = [
            mlp(np.concatenate([node, sums[0, i], sums[1, i], whole]), counter + n)
            for i, node in enumerate(nodes)
        ]
        all_edges = sum(edges, np.zeros(width))
        whole = mlp(
            np.concatenate([sum(nodes, np.zeros(width)), all_edges, whole]), counter + 2 * n
        )
        counter += 3 * n
    return _dense(params, f"Dense_{counter}", whole)


def _dense(params: Mapping[str, NDArray[Any]], name: str, x: Array) -> Array:
    kernel = params[f"{name}/kernel"].astype(np.float64)
    return x.astype(np.float64) @ kernel + params[f"{name}/bias"]
