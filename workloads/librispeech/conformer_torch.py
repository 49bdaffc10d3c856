"""The Conformers of librispeech_conformer and its variants (AlgoPerf v0.6) in torch.

Letters: B batch, T positions, D width, N heads, E width of a head, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import Dropout, MaskedBatchNorm
from pacebench.spec import Batch, Mode
from workloads.librispeech.conformer import FEED_FORWARD_SHARE, QUERY_FACTOR
from workloads.librispeech.layers_torch import (
    ACTIVATIONS,
    Features,
    LayerNorm,
    Subsample,
    xavier_dense,
)
from workloads.librispeech.shapes import BATCH_NORM_EPSILON, positions


class FeedForward(nn.Module):
    """Layer norm and two dense layers; the units between them drop too, as in AlgoPerf's jax."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.width
        self.ln = LayerNorm(width)
        self.linear1 = xavier_dense(width, width * config.feed_forward_expansion)
        self.linear2 = xavier_dense(width * config.feed_forward_expansion, width)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BTD: torch.Tensor, mask_BT1: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D], 0 at padding."""
        hidden = self.dropout(self.activation(self.linear1(self.ln(x_BTD))), mode)
        return self.dropout(self.linear2(hidden * mask_BT1) * mask_BT1, mode)


class QueryScaler(nn.Module):
    """One factor per unit of a head, shared by the heads."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(head_width))

    def forward(self, q_BTNE: torch.Tensor) -> torch.Tensor:
        """Multiply by softplus(scale) / softplus(0)."""
        return q_BTNE * (QUERY_FACTOR * functional.softplus(self.scale))


class Attention(nn.Module):
    """Attention of several heads with scaled queries; padding is not looked at."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width = config.width
        self.n_heads = config.n_heads
        self.temperature = config.attention_temperature
        self.query = xavier_dense(width, width)
        self.key = xavier_dense(width, width)
        self.value = xavier_dense(width, width)
        self.out = xavier_dense(width, width)
        self.qs = QueryScaler(width // config.n_heads)

    def forward(self, x_BTD: torch.Tensor, bias_B11T: torch.Tensor) -> torch.Tensor:
        """Give [B, T, D]; `bias_B11T` is added to the logits."""
        q_BTNE, k_BTNE, v_BTNE = (
            layer(x_BTD).unflatten(2, (self.n_heads, -1))
            for layer in (self.query, self.key, self.value)
        )
        y_BNTE = functional.scaled_dot_product_attention(
            self.qs(q_BTNE).transpose(1, 2),
            k_BTNE.transpose(1, 2),
            v_BTNE.transpose(1, 2),
            attn_mask=bias_B11T,
        )
        y_BTD = y_BNTE.transpose(1, 2).flatten(2)
        return self.out(y_BTD if self.temperature == 1.0 else y_BTD * self.temperature)


class SelfAttention(nn.Module):
    """Layer norm and attention."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.ln = LayerNorm(config.width)
        self.self_attention = Attention(config)
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BTD: torch.Tensor, bias_B11T: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        return self.dropout(self.self_attention(self.ln(x_BTD), bias_B11T), mode)


class Convolution(nn.Module):
    """A gate, a depthwise convolution over time, batch norm, and a dense layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, size = config.width, config.kernel_size
        self.ln = LayerNorm(width)
        self.lin1 = xavier_dense(width, width)
        self.lin2 = xavier_dense(width, width)
        self.conv1 = nn.Conv1d(width, width, size, padding=size // 2, groups=width, bias=False)
        nn.init.xavier_uniform_(self.conv1.weight)
        decay = config.batch_norm_decay
        self.bn = MaskedBatchNorm(width, epsilon=BATCH_NORM_EPSILON, decay=decay)
        self.lin3 = xavier_dense(width, width)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout_rate)

    def forward(self, x_BTD: torch.Tensor, paddings_BT: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        y_BTD = self.ln(x_BTD)
        y_BTD = self.lin1(y_BTD) * torch.sigmoid(self.lin2(y_BTD)) * (1 - paddings_BT)[..., None]
        y_BTD = self.conv1(y_BTD.transpose(1, 2)).transpose(1, 2)
        y_BTD = self.activation(self.bn(y_BTD, paddings_BT, mode))
        return self.dropout(self.lin3(y_BTD), mode)


class ConformerBlock(nn.Module):
    """Half a feed-forward module, attention, convolution, the other half; each with a residual."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.ff1 = FeedForward(config)
        self.mhsa = SelfAttention(config)
        self.conv = Convolution(config)
        self.ff2 = FeedForward(config)
        self.ln = LayerNorm(config.width) if config.has_post_norm else None

    def forward(self, x_BTD: torch.Tensor, paddings_BT: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        mask_BT1 = (1 - paddings_BT)[..., None]
        # Finite, so that an example of padding alone attends to all of it, and gives no NaN.
        bias_B11T = paddings_BT[:, None, None] * torch.finfo(x_BTD.dtype).min
        x_BTD = x_BTD + FEED_FORWARD_SHARE * self.ff1(x_BTD, mask_BT1, mode)
        x_BTD = x_BTD + self.mhsa(x_BTD, bias_B11T, mode)
        x_BTD = x_BTD + self.conv(x_BTD, paddings_BT, mode)
        x_BTD = x_BTD + FEED_FORWARD_SHARE * self.ff2(x_BTD, mask_BT1, mode)
        return x_BTD if self.ln is None else self.ln(x_BTD)


class Conformer(nn.Module):
    """Features, subsampling, positions, blocks, layer norm, the output layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.features = Features(config)
        self.subsample = Subsample(config, "relu")
        self.dropout = Dropout(config.dropout_rate)
        self.conformers = nn.ModuleList(ConformerBlock(config) for _ in range(config.n_blocks))
        self.ln = LayerNorm(config.width)
        self.lin = xavier_dense(config.width, config.vocabulary_size)
        # A constant that follows the module to its device; no part of its state.
        table_TD = config.position_scale * positions(config.n_positions, config.width)
        self.register_buffer("positions_TD", torch.from_numpy(table_TD), persistent=False)

    def forward(self, batch: Batch, mode: Mode) -> tuple[torch.Tensor, torch.Tensor]:
        """Give logits [B, T, C] and paddings [B, T] of `inputs`, waveforms and paddings."""
        x_BTD, paddings_BT = self.subsample(*self.features(batch, mode))
        x_BTD = self.dropout(x_BTD + self.positions_TD[: x_BTD.shape[1]], mode)
        for block in self.conformers:
            x_BTD = block(x_BTD, paddings_BT, mode)
        return self.lin(self.ln(x_BTD)), paddings_BT


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return Conformer(config)
