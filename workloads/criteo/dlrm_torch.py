"""The DLRMs of criteo1tb and its variants (AlgoPerf v0.6) in torch.

Letters: B batch, N numbers, C categories, V vectors (the bottom's output and the embeddings), P
pairs of vectors, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import Dropout
from pacebench.spec import Batch, Mode
from workloads.criteo.dlrm import (
    LAYER_NORM_EPSILON,
    N_CATEGORIES,
    N_DENSE,
    Config,
    bias_deviation,
    bottom_limit,
    top_deviation,
)


class Dlrm(nn.Module):
    """Layers over the numbers, embeddings of the categories, layers over both; logits [B, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding_table = nn.Embedding(config.n_rows, config.width, _weight=_rows(config))
        self.bot_mlp = nn.ModuleList(_layers(N_DENSE, config.bottom))
        self.top_mlp = nn.ModuleList(_layers(config.top_input, config.top))
        self.bot_norm = self.top_norm = self.embedding_norm = None
        if config.has_layer_norm:
            self.bot_norm = nn.ModuleList(_layer_norm(n) for n in config.bottom)
            self.embedding_norm = _layer_norm(config.width)
            self.top_norm = nn.ModuleList(_layer_norm(n) for n in config.top[:-1])
        self.dropout = Dropout(config.dropout_rate)
        # A constant that follows the module to its device; no part of its state.
        self.register_buffer("pairs_P", pairs(), persistent=False)
        for layer in self.bot_mlp:
            limit = bottom_limit(layer.in_features, layer.out_features)
            nn.init.uniform_(layer.weight, -limit, limit)
        for layer in self.top_mlp:
            nn.init.normal_(layer.weight, std=top_deviation(layer.in_features, layer.out_features))
        for layer in (*self.bot_mlp, *self.top_mlp):
            nn.init.normal_(layer.bias, std=bias_deviation(layer.out_features))

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the logits of `inputs` [B, 39], float32: 13 numbers, then 26 ids."""
        inputs = batch["inputs"]
        bottom_BD = inputs[:, :N_DENSE]
        for i, layer in enumerate(self.bot_mlp):
            hidden = functional.relu(layer(bottom_BD))
            if self.bot_norm is not None:
                hidden = self.bot_norm[i](hidden)
            bottom_BD = bottom_BD + hidden if self.config.is_residual and i > 0 else hidden
        rows_BC = inputs[:, N_DENSE:].to(torch.int32) % self.config.n_rows
        embedded_BCD = self.embedding_table(rows_BC)
        if self.embedding_norm is not None:
            embedded_BCD = self.embedding_norm(embedded_BCD)
        x_BD = torch.cat([bottom_BD, self._combine(bottom_BD, embedded_BCD)], dim=1)
        n_hidden = len(self.top_mlp) - 1
        for i, layer in enumerate(self.top_mlp[:-1]):
            hidden = functional.relu(layer(x_BD))
            if self.top_norm is not None:
                hidden = self.top_norm[i](hidden)
            if i == n_hidden - 1:
                hidden = self.dropout(hidden, mode)
            x_BD = x_BD + hidden if self.config.is_residual and i > 0 else hidden
        return self.top_mlp[-1](x_BD)

    def _combine(self, bottom_BD: torch.Tensor, embedded_BCD: torch.Tensor) -> torch.Tensor:
        if self.config.is_residual:
            return embedded_BCD.flatten(1)
        vectors_BVD = torch.cat([bottom_BD[:, None], embedded_BCD], dim=1)
        products_BVV = torch.bmm(vectors_BVD, vectors_BVD.transpose(1, 2))
        return products_BVV.flatten(1).index_select(1, self.pairs_P)


def build(config: Config) -> nn.Module:
    """Build the model with torch's current random state."""
    return Dlrm(config)


def pairs() -> torch.Tensor:
    """Give the places of the pairs (each vector with itself too) in a flat [V, V] matrix."""
    n_vectors = 1 + N_CATEGORIES
    first_P, second_P = torch.triu_indices(n_vectors, n_vectors, device="cpu")
    return first_P * n_vectors + second_P


def _rows(config: Config) -> torch.Tensor:
    table = torch.empty(config.n_rows, config.width)
    return nn.init.uniform_(table, 0.0, config.first_embedding_limit)


def _layers(n_in: int, widths: Sequence[int]) -> list[nn.Linear]:
    return [nn.Linear(a, b) for a, b in zip((n_in, *widths[:-1]), widths, strict=True)]


def _layer_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
