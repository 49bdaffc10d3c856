"""The graph networks of ogbg and its variants: configurations, names and sizes.

Sources: AlgoPerf v0.6, ogbg (both frameworks); Battaglia et al. 2018 (arXiv:1806.01261), whose
graph network block updates edges, then nodes, then what belongs to a whole graph ("globals").

The models compute the first layer of an MLP in parts. AlgoPerf multiplies the concatenation of an
edge, its two nodes and its graph's globals by one matrix; that is the sum of four products, and
what depends on a node or a graph alone is multiplied once for each of these and then handed to
their edges: less than half the multiplications, the same parameters, the same function.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

# OGB, ogbg-molpcba: numbers that describe an atom and a bond.
N_NODE_FEATURES, N_EDGE_FEATURES = 9, 3
# AlgoPerf v0.6: stated in torch, flax.linen.LayerNorm's default in jax.
LAYER_NORM_EPSILON = 1e-6
# The MLPs of a step, in the order of their computation.
UPDATES = ("edge", "node", "global")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's (v0.6, ogbg)."""

    n_outputs: int = 128
    """Labels of a graph, and the width of the globals (zeros) that the first step starts with."""
    latent: int = 256
    """Width of nodes and edges before the first step."""
    hidden: tuple[int, ...] = (256,)
    """Widths of the layers of every MLP."""
    n_steps: int = 5
    activation: Literal["relu", "gelu", "silu"] = "relu"
    """GELU is the approximation by tanh."""
    dropout_rate: float = 0.1
    """The rate where a call names none."""

    def first_widths(self, step: int) -> dict[str, tuple[int, ...]]:
        """Give what the MLPs of a step read, part by part.

        Edges read themselves, the sending node, the receiving node and their graph's globals; nodes
        read themselves, the sums of the edges they sent and received, and the globals; the globals
        read the sums of their graph's nodes and edges, and themselves.
        """
        new = self.hidden[-1]
        old, old_globals = (new, new) if step else (self.latent, self.n_outputs)
        return {
            "edge": (old, old, old, old_globals),
            "node": (old, new, new, old_globals),
            "global": (new, new, old_globals),
        }


FULL = Config()
GELU = replace(FULL, activation="gelu")
SILU = replace(FULL, activation="silu")
MODEL_SIZE = replace(FULL, latent=128, hidden=(256, 256), n_steps=3)
# Ours: the same code for one CPU core.
MINI = Config(n_outputs=8, latent=80, hidden=(80,), n_steps=3)

# AlgoPerf v0.6, both frameworks, by the name of the workload; of MINI, ours.
N_PARAMETERS = {
    "ogbg": 3_554_176,
    "ogbg_gelu": 3_554_176,
    "ogbg_silu": 3_554_176,
    "ogbg_model_size": 2_571_648,
    "ogbg_mini": 197_848,
}


def layers_of(config: Config) -> Iterator[tuple[int, str, int, int]]:
    """Give (step, update, layer of its MLP, number in flax) of every hidden layer, in order."""
    number = 0
    for step in range(config.n_steps):
        for update in UPDATES:
            for layer in range(len(config.hidden)):
                yield step, update, layer, number
                number += 1


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model."""
    layout = {"node_embedder": "node_embedding", "edge_embedder": "edge_embedding"}
    for step, update, layer, number in layers_of(config):
        module = f"graph_network.{step}.update_{update}_fn"
        layout[f"{module}.dense_{layer}"] = f"Dense_{number}"
        layout[f"{module}.norm_{layer}"] = f"LayerNorm_{number}"
    return {**layout, "decoder": _decoder_path(config)}


def output_parameters(config: Config) -> dict[str, tuple[str, ...]]:
    """Give the names of the output layer's parameters, by framework.

    AlgoPerf's jax takes Dense_17 for it, which the base model does not have and which is a hidden
    layer of ogbg_model_size.
    """
    path = _decoder_path(config)
    return {
        "torch": ("decoder.weight", "decoder.bias"),
        "jax": (f"{path}/kernel", f"{path}/bias"),
    }


def _decoder_path(config: Config) -> str:
    return f"Dense_{config.n_steps * len(UPDATES) * len(config.hidden)}"
