"""Attention, MLP and the two kinds of layer of wmt's transformers in torch.

Letters: B batch, L positions, Q queries, T keys, D width, N heads, E width of a head, K beams,
P positions of a cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import Dropout
from pacebench.backends.linear_torch import Linear
from pacebench.spec import Mode
from workloads.wmt.transformer import LAYER_NORM_EPSILON, MASKED_SCORE, MLP_BIAS_STDDEV

KeysValues = tuple[torch.Tensor, torch.Tensor]  # [B, T, N, E] each


class Biases(NamedTuple):
    """What is added to the scores of a decoder's two attentions."""

    own_B1QT: torch.Tensor
    cross_B1QT: torch.Tensor


class Past(NamedTuple):
    """The keys and values of the positions before, of all beams, where the new ones are put."""

    keys_BPKNE: torch.Tensor
    values_BPKNE: torch.Tensor
    position: int

    def extended(self, new: KeysValues) -> KeysValues:
        """Put [B, K, N, E] at the position, in place, and give all up to it, [B, T, N, E]."""
        wholes = self.keys_BPKNE, self.values_BPKNE
        for whole_BPKNE, new_BKNE in zip(wholes, new, strict=True):
            whole_BPKNE[:, self.position] = new_BKNE
        keys, values = (whole[:, : self.position + 1].flatten(1, 2) for whole in wholes)
        return keys, values


class Attention(nn.Module):
    """Attention of several heads without biases; nothing drops in here (AlgoPerf's jax, v0.6)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = (config.n_heads, config.width // config.n_heads)
        self.temperature = config.attention_temperature
        self.q_proj = _without_bias(config.width)
        self.k_proj = _without_bias(config.width)
        self.v_proj = _without_bias(config.width)
        self.out_proj = _without_bias(config.width)

    def keys_values(self, x_BTD: torch.Tensor) -> KeysValues:
        """Give what can be asked of `x_BTD`."""
        keys, values = (
            layer(x_BTD).unflatten(2, self.heads) for layer in (self.k_proj, self.v_proj)
        )
        return keys, values

    def forward(
        self, x_BQD: torch.Tensor, asked: KeysValues, bias_B1QT: torch.Tensor
    ) -> torch.Tensor:
        """Let `x_BQD` ask; `bias_B1QT` is added to the scores; [B, Q, D]."""
        q_BQNE = self.q_proj(x_BQD).unflatten(2, self.heads)
        if self.temperature != 1.0:
            q_BQNE = q_BQNE * self.temperature
        q_BNQE, k_BNTE, v_BNTE = (x.transpose(1, 2) for x in (q_BQNE, *asked))
        y_BNQE = functional.scaled_dot_product_attention(q_BNQE, k_BNTE, v_BNTE, bias_B1QT)
        return self.out_proj(y_BNQE.transpose(1, 2).flatten(2))


class MlpBlock(nn.Module):
    """Two dense layers; a gate, where there is one, reads what the first one reads."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.activation = {"relu": functional.relu, "tanh": torch.tanh}[config.activation]
        self.linear1 = _with_bias(config.width, config.mlp_width)
        self.linear_glu = _with_bias(config.width, config.mlp_width) if config.is_glu else None
        self.linear2 = _with_bias(config.mlp_width, config.width)
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BLD: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, L, D]; units drop inside and at the end."""
        hidden = self.activation(self.linear1(x_BLD))
        if self.linear_glu is not None:
            hidden = hidden * self.linear_glu(x_BLD)
        return self.dropout(self.linear2(self.dropout(hidden, mode)), mode)


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each with a residual, normalised before or after."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.is_post_layer_norm = config.is_post_layer_norm
        self.self_attn = Attention(config)
        self.mlp = MlpBlock(config)
        self.norm1 = layer_norm(config.width)
        self.norm2 = layer_norm(config.width)
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BLD: torch.Tensor, bias_B1LL: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, L, D]."""
        if self.is_post_layer_norm:
            x_BLD = self.norm1(x_BLD + self._attend(x_BLD, bias_B1LL, mode))
            return self.norm2(x_BLD + self.mlp(x_BLD, mode))
        x_BLD = x_BLD + self._attend(self.norm1(x_BLD), bias_B1LL, mode)
        return x_BLD + self.mlp(self.norm2(x_BLD), mode)

    def _attend(self, x_BLD: torch.Tensor, bias_B1LL: torch.Tensor, mode: Mode) -> torch.Tensor:
        asked = self.self_attn.keys_values(x_BLD)
        return self.dropout(self.self_attn(x_BLD, asked, bias_B1LL), mode)


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and MLP, each with a residual, normalised before or after."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.is_post_layer_norm = config.is_post_layer_norm
        self.self_attn = Attention(config)
        self.cross_attn = Attention(config)
        self.mlp = MlpBlock(config)
        self.norm1 = layer_norm(config.width)
        self.norm2 = layer_norm(config.width)
        self.norm3 = layer_norm(config.width)
        self.dropout = Dropout(config.dropout_rate)

    def forward(
        self,
        y_BLD: torch.Tensor,
        encoded: KeysValues,
        biases: Biases,
        mode: Mode,
        past: Past | None = None,
    ) -> torch.Tensor:
        """Give [B, L, D]; with a past, the L rows are the beams' one new position."""
        if self.is_post_layer_norm:
            y_BLD = self.norm1(y_BLD + self._attend(y_BLD, biases.own_B1QT, mode, past))
            answer_BLD = self.cross_attn(y_BLD, encoded, biases.cross_B1QT)
            y_BLD = self.norm2(y_BLD + self.dropout(answer_BLD, mode))
            return self.norm3(y_BLD + self.mlp(y_BLD, mode))
        y_BLD = y_BLD + self._attend(self.norm1(y_BLD), biases.own_B1QT, mode, past)
        answer_BLD = self.cross_attn(self.norm2(y_BLD), encoded, biases.cross_B1QT)
        y_BLD = y_BLD + self.dropout(answer_BLD, mode)
        return y_BLD + self.mlp(self.norm3(y_BLD), mode)

    def _attend(
        self, y_BLD: torch.Tensor, bias_B1QT: torch.Tensor, mode: Mode, past: Past | None
    ) -> torch.Tensor:
        asked = self.self_attn.keys_values(y_BLD)
        if past is not None:
            asked = past.extended(asked)
        return self.dropout(self.self_attn(y_BLD, asked, bias_B1QT), mode)


def score_bias(allowed_BQT: torch.Tensor) -> torch.Tensor:
    """Give what to add to scores, float32 [B, 1, Q, T]: finite, so that no row becomes NaN."""
    bias_BQT = torch.zeros(allowed_BQT.shape, device=allowed_BQT.device)
    return bias_BQT.masked_fill_(~allowed_BQT, MASKED_SCORE)[:, None]


def layer_norm(width: int) -> nn.LayerNorm:
    """Give a layer norm that starts as the identity's scale and shift."""
    return nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)


def _without_bias(width: int) -> nn.Linear:
    layer = Linear(width, width, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def _with_bias(n_in: int, n_out: int) -> nn.Linear:
    layer = Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.normal_(layer.bias, std=MLP_BIAS_STDDEV)
    return layer
