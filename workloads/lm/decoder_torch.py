"""The decoder-only language models (AlgoPerf v1.0) in torch.

Letters: B batch, L positions, D width, N heads, E width of a head, F half of it, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.linear_torch import linear
from pacebench.spec import Batch, Mode
from workloads.lm.decoder import LENGTH_EPSILON, NORM_EPSILON, rotations


class Dense(nn.Module):
    """A matrix without bias, used in the precision of what it is applied to."""

    def __init__(self, n_in: int, n_out: int, stddev: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))
        nn.init.normal_(self.weight, std=stddev)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply the last axis."""
        return linear(x, self.weight.to(x.dtype))


class RMSNorm(nn.Module):
    """Divides by the root of the mean square, in float32, and scales."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BLD: torch.Tensor) -> torch.Tensor:
        """Give [B, L, D] in the precision of the input."""
        normed_BLD = functional.rms_norm(
            x_BLD.float(), self.weight.shape, self.weight, NORM_EPSILON
        )
        return normed_BLD.to(x_BLD.dtype)


class CausalAttn(nn.Module):
    """Attention to earlier positions, of rotated queries and keys of length 1."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, stddev = config.width, config.initial_stddev
        self.heads = (config.n_heads, config.head_width)
        self.attn_scale = nn.Parameter(torch.tensor(config.initial_scale))
        self.q_proj = Dense(width, width, stddev)
        self.k_proj = Dense(width, width, stddev)
        self.v_proj = Dense(width, width, stddev)
        self.w_out = Dense(width, width, config.residual_stddev)

    def forward(self, x_BLD: torch.Tensor, rotations_LF: Any) -> torch.Tensor:
        """Give [B, L, D]."""
        q_BLNE, k_BLNE, v_BLNE = (
            project(x_BLD).unflatten(-1, self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q_BLNE = _to_length_1(_rotated(q_BLNE, rotations_LF)) * self.attn_scale
        k_BLNE = _to_length_1(_rotated(k_BLNE, rotations_LF))
        y_BNLE = functional.scaled_dot_product_attention(
            q_BLNE.to(x_BLD.dtype).transpose(1, 2),
            k_BLNE.to(x_BLD.dtype).transpose(1, 2),
            v_BLNE.transpose(1, 2),
            is_causal=True,
            scale=1.0,
        )
        return self.w_out(y_BNLE.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """One half of the hidden units, gated by the sigmoid of the other."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.fc1 = Dense(config.width, 2 * config.mlp_width, config.initial_stddev)
        self.fc2 = Dense(config.mlp_width, config.width, config.residual_stddev)

    def forward(self, x_BLD: torch.Tensor) -> torch.Tensor:
        """Give [B, L, D]."""
        return self.fc2(functional.glu(self.fc1(x_BLD)))


class Block(nn.Module):
    """Attention and MLP, each with a residual around it and a norm before it."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.attn = CausalAttn(config)
        self.attn_norm = RMSNorm(config.width)
        self.mlp = Mlp(config)
        self.mlp_norm = RMSNorm(config.width)

    def forward(self, x_BLD: torch.Tensor, rotations_LF: Any) -> torch.Tensor:
        """Give [B, L, D]."""
        x_BLD = x_BLD + self.attn(self.attn_norm(x_BLD), rotations_LF)
        return x_BLD + self.mlp(self.mlp_norm(x_BLD))


class Decoder(nn.Module):
    """One embedding for inputs and logits, and the layers between; nothing is dropped."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.n_vocab, config.width)
        nn.init.normal_(self.embed_tokens.weight, std=config.initial_stddev)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.out_norm = RMSNorm(config.width)
        # Constants that follow the module to its device; no part of its state.
        cosines_LF, sines_LF = rotations(config.context, config.head_width)
        self.register_buffer("cosines_LF", torch.from_numpy(cosines_LF), persistent=False)
        self.register_buffer("sines_LF", torch.from_numpy(sines_LF), persistent=False)

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:  # noqa: ARG002 (one way in all modes)
        """Give the logits [B, L, V] of the tokens that follow `inputs` [B, L]."""
        tokens_BL = batch["inputs"]
        is_bfloat16 = self.config.is_bfloat16(is_cpu=tokens_BL.device.type == "cpu")
        table_VD = self.embed_tokens.weight
        x_BLD = functional.embedding(tokens_BL, table_VD)
        if is_bfloat16:
            x_BLD, table_VD = x_BLD.bfloat16(), table_VD.bfloat16()
        length = tokens_BL.shape[1]
        rotations_LF = self.cosines_LF[:length], self.sines_LF[:length]
        for layer in self.layers:
            x_BLD = layer(x_BLD, rotations_LF)
        return linear(self.out_norm(x_BLD), table_VD)


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return Decoder(config)


def _rotated(x_BLNE: torch.Tensor, rotations_LF: Any) -> torch.Tensor:
    """Turn neighbouring pairs, in float32."""
    cosines_L1F, sines_L1F = (r_LF[:, None] for r_LF in rotations_LF)
    pairs = x_BLNE.float().unflatten(-1, (-1, 2))
    first, second = pairs[..., 0], pairs[..., 1]
    turned = (
        first * cosines_L1F - second * sines_L1F,
        second * cosines_L1F + first * sines_L1F,
    )
    return torch.stack(turned, dim=-1).flatten(-2)


def _to_length_1(x_BLNE: torch.Tensor) -> torch.Tensor:
    return x_BLNE / (torch.linalg.vector_norm(x_BLNE, dim=-1, keepdim=True) + LENGTH_EPSILON)
