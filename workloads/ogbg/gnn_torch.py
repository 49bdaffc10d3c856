"""The graph networks of ogbg and its variants (AlgoPerf v0.6) in torch.

Letters: S shards, N nodes, E edges and G graphs, of a shard or, flattened, of all shards; F
features, H hidden units, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import Dropout, dense
from pacebench.spec import Batch, Mode
from workloads.ogbg.gnn import LAYER_NORM_EPSILON, N_EDGE_FEATURES, N_NODE_FEATURES

ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "gelu": partial(functional.gelu, approximate="tanh"),
    "silu": functional.silu,
}


class Mlp(nn.Module):
    """Dense layer, layer norm, activation and dropout, for each hidden width.

    The first layer is computed by the caller, from the parts of its input.
    """

    def __init__(self, widths: tuple[int, ...], config: Any) -> None:
        super().__init__()
        self.widths = widths
        self.n_layers = len(config.hidden)
        n_in = sum(widths)
        for i, n_out in enumerate(config.hidden):
            self.add_module(f"dense_{i}", dense(n_in, n_out))
            self.add_module(f"norm_{i}", nn.LayerNorm(n_out, eps=LAYER_NORM_EPSILON))
            n_in = n_out
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout_rate)

    def first(self, *parts: torch.Tensor) -> list[torch.Tensor]:
        """Give the first layer's products with the leading parts of its input; no bias."""
        weights = self.dense_0.weight.split(self.widths, dim=1)
        return [x @ weight_HF.t() for x, weight_HF in zip(parts, weights, strict=False)]

    def forward(self, x_H: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give the MLP's output from the sum of the first layer's products."""
        for i in range(self.n_layers):
            layer = self.get_submodule(f"dense_{i}")
            x_H = x_H + layer.bias if i == 0 else layer(x_H)
            x_H = self.dropout(self.activation(self.get_submodule(f"norm_{i}")(x_H)), mode)
        return x_H


class Step(nn.Module):
    """One step of message passing: edges, then nodes, then globals."""

    def __init__(self, widths: Mapping[str, tuple[int, ...]], config: Any) -> None:
        super().__init__()
        self.update_edge_fn = Mlp(widths["edge"], config)
        self.update_node_fn = Mlp(widths["node"], config)
        self.update_global_fn = Mlp(widths["global"], config)

    def forward(
        self,
        features: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        places: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        mode: Mode,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give new nodes [N, H], edges [E, H] and globals [G, H].

        `places` are each edge's sender and receiver, [E], and each node's graph, [N].
        """
        nodes_NF, edges_EF, globals_GF = features
        senders_E, receivers_E, graphs_N = places
        edge_EH, sent_NH, received_NH, global_GH = self.update_edge_fn.first(
            edges_EF, nodes_NF, nodes_NF, globals_GF
        )
        # Both nodes of an edge are of its graph, so the globals come with the sending node.
        sent_NH = sent_NH + global_GH.index_select(0, graphs_N)
        edge_EH = edge_EH + sent_NH.index_select(0, senders_E)
        edge_EH = edge_EH + received_NH.index_select(0, receivers_E)
        edges_EH = self.update_edge_fn(edge_EH, mode)

        sent_NH = _sums(edges_EH, senders_E, len(nodes_NF))
        received_NH = _sums(edges_EH, receivers_E, len(nodes_NF))
        *node_parts, global_GH = self.update_node_fn.first(
            nodes_NF, sent_NH, received_NH, globals_GF
        )
        nodes_NH = self.update_node_fn(sum(node_parts) + global_GH.index_select(0, graphs_N), mode)

        # A graph's edges are those that its nodes sent.
        of_nodes_GH = _sums(nodes_NH, graphs_N, len(globals_GF))
        of_edges_GH = _sums(sent_NH, graphs_N, len(globals_GF))
        globals_GH = sum(self.update_global_fn.first(of_nodes_GH, of_edges_GH, globals_GF))
        return nodes_NH, edges_EH, self.update_global_fn(globals_GH, mode)


class GraphNetwork(nn.Module):
    """Embeddings, steps of message passing, the output layer; [S, G, n_outputs]."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.n_outputs = config.n_outputs
        self.node_embedder = dense(N_NODE_FEATURES, config.latent)
        self.edge_embedder = dense(N_EDGE_FEATURES, config.latent)
        self.graph_network = nn.ModuleList(
            Step(config.first_widths(step), config) for step in range(config.n_steps)
        )
        self.decoder = dense(config.hidden[-1], config.n_outputs)

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the logits of every graph, padding included.

        `inputs` are nodes [S, N, F], edges [S, E, F], senders and receivers [S, E] and every node's
        graph [S, N], counted within their shards; `targets` [S, G, K] tell the number of graphs.
        """
        nodes_SNF, edges_SEF, senders_SE, receivers_SE, graphs_SN = batch["inputs"]
        n_shards, n_graphs = batch["targets"].shape[:2]
        n_nodes = nodes_SNF.shape[1]
        shards_S1 = torch.arange(n_shards, device=nodes_SNF.device)[:, None]
        places = (
            (senders_SE + n_nodes * shards_S1).flatten(),
            (receivers_SE + n_nodes * shards_S1).flatten(),
            (graphs_SN + n_graphs * shards_S1).flatten(),
        )
        nodes = self.node_embedder(nodes_SNF.flatten(0, 1).float())
        edges = self.edge_embedder(edges_SEF.flatten(0, 1).float())
        features = (nodes, edges, nodes.new_zeros(n_shards * n_graphs, self.n_outputs))
        for step in self.graph_network:
            features = step(features, places, mode)
        return self.decoder(features[2]).unflatten(0, (n_shards, n_graphs))


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return GraphNetwork(config)


def _sums(x_MH: torch.Tensor, places_M: torch.Tensor, n_places: int) -> torch.Tensor:
    """Add up the rows that go to the same place."""
    return x_MH.new_zeros(n_places, x_MH.shape[1]).index_add(0, places_M, x_MH)
