"""The vision transformers of imagenet_vit and its variants (AlgoPerf v0.6) in torch.

Letters: B batch, H and W the sides, C channels, T tokens, Q queries, N heads, D width, E width of
a head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import Dropout, dense, lecun_normal_
from pacebench.backends.linear_torch import Linear
from pacebench.spec import Batch, Mode
from workloads.imagenet.vit import LAYER_NORM_EPSILON, MAP_MODE, MLP_BIAS_STDDEV, positions


class Attention(nn.Module):
    """Attention of several heads; the kernels start Xavier uniform, the biases at 0."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = _xavier_dense(width, width)
        self.key = _xavier_dense(width, width)
        self.value = _xavier_dense(width, width)
        self.out = _xavier_dense(width, width)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)

    def forward(self, x_BQD: torch.Tensor, x_BTD: torch.Tensor) -> torch.Tensor:
        """Let `x_BQD` ask `x_BTD`; [B, Q, D]."""
        q_BNQE = self._split(self.query(x_BQD))
        k_BNTE, v_BNTE = self._split(self.key(x_BTD)), self._split(self.value(x_BTD))
        y_BNQE = functional.scaled_dot_product_attention(q_BNQE, k_BNTE, v_BNTE)
        return self.out(y_BNQE.transpose(1, 2).flatten(2))

    def _split(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return x_BTD.unflatten(2, (self.n_heads, -1)).transpose(1, 2)


class MlpBlock(nn.Module):
    """Two dense layers; a gate, where there is one, is computed from the activated hidden units."""

    def __init__(self, config: Any, *, is_glu: bool) -> None:
        super().__init__()
        self.linear1 = _mlp_dense(config.width, config.mlp_width)
        self.glu_linear = _mlp_dense(config.mlp_width, config.mlp_width) if is_glu else None
        self.linear2 = _mlp_dense(config.mlp_width, config.width)
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BTD: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        hidden = functional.gelu(self.linear1(x_BTD), approximate="tanh")
        if self.glu_linear is not None:
            hidden = hidden * self.glu_linear(hidden)
        return self.linear2(self.dropout(hidden, mode))


class EncoderBlock(nn.Module):
    """Attention and MLP, each with a residual, normalised before or after."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.is_post_layer_norm = config.is_post_layer_norm
        self.layer_norm0 = _layer_norm(config.width)
        self.self_attention1 = Attention(config.width, config.n_heads)
        self.layer_norm2 = _layer_norm(config.width)
        self.mlp3 = MlpBlock(config, is_glu=config.is_glu)
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BTD: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        if self.is_post_layer_norm:
            y_BTD = self.dropout(self.self_attention1(x_BTD, x_BTD), mode)
            x_BTD = self.layer_norm0(x_BTD + y_BTD)
            return self.layer_norm2(x_BTD + self.dropout(self.mlp3(x_BTD, mode), mode))
        y_BTD = self.layer_norm0(x_BTD)
        x_BTD = x_BTD + self.dropout(self.self_attention1(y_BTD, y_BTD), mode)
        return x_BTD + self.dropout(self.mlp3(self.layer_norm2(x_BTD), mode), mode)


class Encoder(nn.Module):
    """The blocks, and a layer norm at the end where they do not end in one."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.net = nn.ModuleList(EncoderBlock(config) for _ in range(config.depth))
        is_normed = not config.is_post_layer_norm
        self.encoder_norm = _layer_norm(config.width) if is_normed else None

    def forward(self, x_BTD: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        for block in self.net:
            x_BTD = block(x_BTD, mode)
        return x_BTD if self.encoder_norm is None else self.encoder_norm(x_BTD)


class MapHead(nn.Module):
    """Pooling by attention: one learned probe asks all tokens. Nothing is dropped in here."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        # Xavier uniform with flax's fans of a [1, 1, D] array: 1 in, D out.
        limit = math.sqrt(6.0 / (1 + config.width))
        self.probe = nn.Parameter(torch.empty(1, 1, config.width).uniform_(-limit, limit))
        self.attention = Attention(config.width, config.n_heads)
        self.layer_norm = _layer_norm(config.width)
        self.mlp = MlpBlock(config, is_glu=False)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Give [B, D]."""
        z_B1D = self.attention(self.probe.expand(len(x_BTD), -1, -1), x_BTD)
        z_B1D = z_B1D + self.mlp(self.layer_norm(z_B1D), MAP_MODE)
        return z_B1D[:, 0]


class VisionTransformer(nn.Module):
    """Patches, positions, encoder, pooling, a tanh layer, the output layer; [B, n_classes]."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, patch = config.width, config.patch
        self.pre_logits = dense(width, width)
        self.conv_patch_extract = nn.Conv2d(3, width, patch, patch)
        lecun_normal_(self.conv_patch_extract.weight, 3 * patch**2)
        nn.init.zeros_(self.conv_patch_extract.bias)
        self.dropout = Dropout(config.dropout_rate)
        self.encoder = Encoder(config)
        self.head = nn.Linear(width, config.n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.map = MapHead(config) if config.has_map_head else None
        n_side = config.n_tokens_per_side
        # A constant that follows the module to its device; no part of its state.
        self.register_buffer(
            "positions_TD", torch.from_numpy(positions(n_side, n_side, width)), persistent=False
        )

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the logits of `inputs` [B, H, W, 3], float32, normalised."""
        x_BCHW = batch["inputs"].permute(0, 3, 1, 2)
        x_BTD = self.conv_patch_extract(x_BCHW).flatten(2).transpose(1, 2)
        x_BTD = self.encoder(self.dropout(x_BTD + self.positions_TD, mode), mode)
        x_BD = x_BTD.mean(1) if self.map is None else self.map(x_BTD)
        return self.head(self.pre_logits(x_BD).tanh())


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return VisionTransformer(config)


def _xavier_dense(n_in: int, n_out: int) -> nn.Linear:
    layer = Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def _mlp_dense(n_in: int, n_out: int) -> nn.Linear:
    layer = _xavier_dense(n_in, n_out)
    nn.init.normal_(layer.bias, std=MLP_BIAS_STDDEV)
    return layer


def _layer_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
