"""The graph networks of ogbg and its variants (AlgoPerf v0.6) in flax.

Shards are kept apart, so that several devices each work on their own.

Letters: S shards, N nodes, E edges and G graphs of a shard, M nodes or edges, F features, H hidden
units, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout
from pacebench.spec import Batch, Mode
from workloads.ogbg.gnn import LAYER_NORM_EPSILON, UPDATES

ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "gelu": partial(nn.gelu, approximate=True),
    "silu": nn.silu,
}
Parts = list[jax.Array]


class PartedDense(nn.Module):
    """A dense layer that is computed from the parts of its input."""

    widths: tuple[int, ...]
    n_out: int

    def setup(self) -> None:
        """Declare kernel (lecun normal) and bias (0), as `nn.Dense`."""
        shape = (sum(self.widths), self.n_out)
        self.kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        self.bias = self.param("bias", nn.initializers.zeros, (self.n_out,))

    def products(self, *parts: jax.Array) -> Parts:
        """Give the products with the leading parts of the input; no bias."""
        kernels = jnp.split(self.kernel, np.cumsum(self.widths)[:-1].tolist())
        return [x @ kernel_FH for x, kernel_FH in zip(parts, kernels, strict=False)]

    def __call__(self, x_SMH: jax.Array) -> jax.Array:
        """Add the bias to the sum of the products."""
        return x_SMH + self.bias.reshape(1, 1, -1)


class GraphNetwork(nn.Module):
    """Embeddings, steps of message passing, the output layer; [S, G, n_outputs]."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the logits of every graph, padding included.

        `inputs` are nodes [S, N, F], edges [S, E, F], senders and receivers [S, E] and every node's
        graph [S, N], counted within their shards; `targets` [S, G, K] tell the number of graphs.
        """
        config = self.config
        nodes_SNF, edges_SEF, senders_SE, receivers_SE, graphs_SN = batch["inputs"]
        n_shards, n_graphs = batch["targets"].shape[:2]
        features = (
            nn.Dense(config.latent, name="node_embedding")(nodes_SNF.astype(jnp.float32)),
            nn.Dense(config.latent, name="edge_embedding")(edges_SEF.astype(jnp.float32)),
            jnp.zeros((n_shards, n_graphs, config.n_outputs), jnp.float32),
        )
        for step in range(config.n_steps):
            features = self._step(step, features, (senders_SE, receivers_SE, graphs_SN), mode)
        n_layers = config.n_steps * len(UPDATES) * len(config.hidden)
        return nn.Dense(config.n_outputs, name=f"Dense_{n_layers}")(features[2])

    def _step(
        self,
        step: int,
        features: tuple[jax.Array, jax.Array, jax.Array],
        places: tuple[jax.Array, jax.Array, jax.Array],
        mode: Mode,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Give new nodes [S, N, H], edges [S, E, H] and globals [S, G, H]."""
        nodes_SNF, edges_SEF, globals_SGF = features
        senders_SE, receivers_SE, graphs_SN = places
        first = self._first_layers(step)
        edge_SEH, sent_SNH, received_SNH, global_SGH = first["edge"].products(
            edges_SEF, nodes_SNF, nodes_SNF, globals_SGF
        )
        # Both nodes of an edge are of its graph, so the globals come with the sending node.
        sent_SNH = sent_SNH + _rows(global_SGH, graphs_SN)
        edge_SEH = edge_SEH + _rows(sent_SNH, senders_SE) + _rows(received_SNH, receivers_SE)
        edges_SEH = self._mlp(step, "edge", first["edge"](edge_SEH), mode)

        n_nodes, n_graphs = nodes_SNF.shape[1], globals_SGF.shape[1]
        sent_SNH = _sums(edges_SEH, senders_SE, n_nodes)
        received_SNH = _sums(edges_SEH, receivers_SE, n_nodes)
        *node_parts, global_SGH = first["node"].products(
            nodes_SNF, sent_SNH, received_SNH, globals_SGF
        )
        node_SNH = sum(node_parts) + _rows(global_SGH, graphs_SN)
        nodes_SNH = self._mlp(step, "node", first["node"](node_SNH), mode)

        # A graph's edges are those that its nodes sent.
        of_nodes_SGH = _sums(nodes_SNH, graphs_SN, n_graphs)
        of_edges_SGH = _sums(sent_SNH, graphs_SN, n_graphs)
        global_SGH = sum(first["global"].products(of_nodes_SGH, of_edges_SGH, globals_SGF))
        return nodes_SNH, edges_SEH, self._mlp(step, "global", first["global"](global_SGH), mode)

    def _first_layers(self, step: int) -> dict[str, PartedDense]:
        widths = self.config.first_widths(step)
        return {
            update: PartedDense(
                widths[update], self.config.hidden[0], name=f"Dense_{self._number(step, update)}"
            )
            for update in UPDATES
        }

    def _mlp(self, step: int, update: str, x_SMH: jax.Array, mode: Mode) -> jax.Array:
        """Give the output of an MLP from its first dense layer's."""
        config, number = self.config, self._number(step, update)
        for layer, n_out in enumerate(config.hidden):
            if layer:
                x_SMH = nn.Dense(n_out, name=f"Dense_{number + layer}")(x_SMH)
            norm = nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name=f"LayerNorm_{number + layer}")
            x_SMH = ACTIVATIONS[config.activation](norm(x_SMH))
            x_SMH = Dropout(config.dropout_rate)(x_SMH, mode)
        return x_SMH

    def _number(self, step: int, update: str) -> int:
        """Number the first layer of an MLP among all hidden layers."""
        return (step * len(UPDATES) + UPDATES.index(update)) * len(self.config.hidden)


def build(config: Any) -> nn.Module:
    """Build the model."""
    return GraphNetwork(config)


def _rows(x_SMH: jax.Array, places_SM: jax.Array) -> jax.Array:
    """Give the rows at the places, shard by shard."""
    return jax.vmap(lambda x, places: x.at[places].get(mode="promise_in_bounds"))(x_SMH, places_SM)


def _sums(x_SMH: jax.Array, places_SM: jax.Array, n_places: int) -> jax.Array:
    """Add up the rows that go to the same place, shard by shard."""

    def add_up(x: jax.Array, places: jax.Array) -> jax.Array:
        zeros = jnp.zeros((n_places, x.shape[1]), x.dtype)
        return zeros.at[places].add(x, mode="promise_in_bounds")

    return jax.vmap(add_up)(x_SMH, places_SM)
