"""The DLRMs of criteo1tb and its variants: configurations, names and initial values.

Sources: AlgoPerf v0.6, criteo1tb (`jax`); Naumov et al. 2019 (arXiv:1906.00091).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pacebench.errors import PacebenchError

# Of the data (AlgoPerf v0.6): columns of numbers and of categories, in this order in an example.
N_DENSE, N_CATEGORIES = 13, 26
# flax.linen.LayerNorm's default, which AlgoPerf v0.6 keeps in jax and states in torch.
LAYER_NORM_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's DLRM-small (v0.6, criteo1tb)."""

    n_rows: int = 32 * 128 * 1024
    """Rows of the embedding table that all columns share; a row is an id modulo this."""
    width: int = 128
    """Of an embedding."""
    bottom: tuple[int, ...] = (512, 256, 128)
    """Widths of the layers over the numbers."""
    top: tuple[int, ...] = (1024, 1024, 512, 256, 1)
    """Widths of the layers over everything."""
    dropout_rate: float = 0.0
    """Behind the last hidden layer; the rate where a call names none."""
    is_residual: bool = False
    """Whether layers add to what they are given, and embeddings are joined, not multiplied."""
    has_layer_norm: bool = False
    """Whether hidden layers and embeddings are normalised."""
    embedding_limit: float | None = None
    """Embeddings start uniform between 0 and this; None means 1 / √n_rows."""

    def __post_init__(self) -> None:
        """Raise PacebenchError where widths do not fit together."""
        if not self.is_residual and self.bottom[-1] != self.width:
            raise PacebenchError(
                f"embeddings of width {self.width} are not multiplied with layers {self.bottom}"
            )
        hidden = (*self.bottom[1:], *self.top[1:-1])
        before = (*self.bottom[:-1], *self.top[:-2])
        if self.is_residual and hidden != before:
            raise PacebenchError(f"layers that add keep their width: {self.bottom}, {self.top}")

    @property
    def first_embedding_limit(self) -> float:
        """The end of the range in which embeddings start."""
        limit = self.embedding_limit
        return 1 / math.sqrt(self.n_rows) if limit is None else limit

    @property
    def top_input(self) -> int:
        """How many numbers the top layers are given.

        The bottom's output, and of it and the embeddings either the products of all pairs (each
        with itself too), or the embeddings themselves.
        """
        n_vectors = 1 + N_CATEGORIES
        others = N_CATEGORIES * self.width if self.is_residual else n_vectors * (n_vectors + 1) // 2
        return self.bottom[-1] + others


FULL = Config()
LAYERNORM = replace(FULL, has_layer_norm=True)
EMBED_INIT = replace(FULL, embedding_limit=1.0)
RESNET = replace(FULL, is_residual=True, bottom=(256, 256, 256), top=(256, 256, 256, 256, 1))
# Ours: the same code for one CPU core.
MINI = Config(n_rows=4096, width=32, bottom=(64, 32), top=(640, 256, 1))

# AlgoPerf v0.6, both frameworks, by the name of the workload.
N_PARAMETERS = {
    "criteo1tb": 539_267_457,
    "criteo1tb_layernorm": 539_275_137,
    "criteo1tb_embed_init": 539_267_457,
    "criteo1tb_resnet": 538_121_473,
}


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model; flax counts dense layers and norms from the bottom up."""
    n_bottom, n_top = len(config.bottom), len(config.top)
    layout = {"embedding_table.weight": "embedding_table"}
    layout |= {f"bot_mlp.{i}": f"Dense_{i}" for i in range(n_bottom)}
    layout |= {f"top_mlp.{i}": f"Dense_{n_bottom + i}" for i in range(n_top)}
    if config.has_layer_norm:
        layout |= {f"bot_norm.{i}": f"LayerNorm_{i}" for i in range(n_bottom)}
        layout["embedding_norm"] = f"LayerNorm_{n_bottom}"
        layout |= {f"top_norm.{i}": f"LayerNorm_{n_bottom + 1 + i}" for i in range(n_top - 1)}
    return layout


def output_parameters(config: Config) -> Mapping[str, tuple[str, ...]]:
    """Give the names of the last layer's parameters, by framework."""
    torch_name = f"top_mlp.{len(config.top) - 1}"
    flax_name = layout_of(config)[torch_name]
    return {
        "torch": (f"{torch_name}.weight", f"{torch_name}.bias"),
        "jax": (f"{flax_name}/kernel", f"{flax_name}/bias"),
    }


def bottom_limit(n_in: int, n_out: int) -> float:
    """Give the end of the range in which weights of the bottom start (Glorot uniform)."""
    return math.sqrt(6 / (n_in + n_out))


def top_deviation(n_in: int, n_out: int) -> float:
    """Give the deviation of the normal weights of the top (Glorot normal, not cut)."""
    return math.sqrt(2 / (n_in + n_out))


def bias_deviation(n_out: int) -> float:
    """Give the deviation of a layer's normal biases."""
    return 1 / math.sqrt(n_out)
