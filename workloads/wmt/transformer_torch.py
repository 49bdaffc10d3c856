"""The encoder-decoder of wmt and its variants (AlgoPerf v0.6) in torch.

Letters: B batch, L positions of targets, T positions of inputs, D width, V vocabulary, K beams,
P positions of a cache. A batch is packed where it has positions and segmentations.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pacebench.backends.layers_torch import Dropout
from pacebench.backends.linear_torch import linear
from pacebench.spec import Batch, Decoding, Mode
from workloads.wmt.layers_torch import (
    Biases,
    DecoderLayer,
    EncoderLayer,
    Past,
    layer_norm,
    score_bias,
)
from workloads.wmt.transformer import EVALUATION, PADDING, START, positions

Cache = dict[str, Any]  # tensors, lists and tuples of them; the leading axis is the batch


class Encoder(nn.Module):
    """The layers, and a layer norm at the end where they do not end in one."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dropout = Dropout(config.dropout_rate)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_layers))
        self.norm = None if config.is_post_layer_norm else layer_norm(config.width)

    def forward(self, x_BTD: torch.Tensor, bias_B1TT: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Give [B, T, D]."""
        x_BTD = self.dropout(x_BTD, mode)
        for layer in self.layers:
            x_BTD = layer(x_BTD, bias_B1TT, mode)
        return x_BTD if self.norm is None else self.norm(x_BTD)


class Decoder(nn.Module):
    """The layers, and a layer norm at the end where they do not end in one."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dropout = Dropout(config.dropout_rate)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.n_layers))
        self.norm = None if config.is_post_layer_norm else layer_norm(config.width)

    def forward(
        self, y_BLD: torch.Tensor, x_BTD: torch.Tensor, biases: Biases, mode: Mode
    ) -> torch.Tensor:
        """Give [B, L, D] from the embedded targets and the encoded inputs."""
        y_BLD = self.dropout(y_BLD, mode)
        for layer in self.layers:
            y_BLD = layer(y_BLD, layer.cross_attn.keys_values(x_BTD), biases, mode)
        return y_BLD if self.norm is None else self.norm(y_BLD)

    def advance(
        self, y_BKD: torch.Tensor, cache: Cache, biases: Biases, position: int
    ) -> torch.Tensor:
        """Give [B, K, D] of the beams' next position; the cache is written into."""
        for layer, own, encoded in zip(self.layers, cache["own"], cache["encoded"], strict=True):
            y_BKD = layer(y_BKD, encoded, biases, EVALUATION, Past(*own, position))
        return y_BKD if self.norm is None else self.norm(y_BKD)


class Transformer(nn.Module):
    """One embedding for inputs, targets and logits; an encoder; a decoder."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = (config.n_heads, config.width // config.n_heads)
        self.shared_embedding = nn.Embedding(config.n_vocab, config.width)  # starts as N(0, 1)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        # A constant that follows the module to its device; no part of its state.
        places_LD = torch.from_numpy(positions(config.max_length, config.width))
        self.register_buffer("positions_LD", places_LD, persistent=False)

    def forward(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """Give the logits [B, L, V] of `targets` [B, L], each from those before it and `inputs`."""
        inputs_BT, targets_BL = batch["inputs"], batch["targets"]
        own_T = inputs_BT > PADDING, batch.get("inputs_segmentation")
        own_L = targets_BL > PADDING, batch.get("targets_segmentation")
        x_BTD = self._embed(inputs_BT, batch.get("inputs_position"))
        x_BTD = self.encoder(x_BTD, score_bias(_allowed(own_T, own_T)), mode)
        # Shifted over the whole row: a later sentence of a packed row starts from the end token
        # of the one before it (AlgoPerf v0.6).
        shifted_BL = functional.pad(targets_BL[:, :-1], (1, 0), value=START)
        y_BLD = self._embed(shifted_BL, batch.get("targets_position"))
        allowed_BLL = _allowed(own_L, own_L).tril()
        biases = Biases(score_bias(allowed_BLL), score_bias(_allowed(own_L, own_T)))
        return self._logits(self.decoder(y_BLD, x_BTD, biases, mode))

    def start(self, batch: Batch, decoding: Decoding) -> Cache:
        """Encode `inputs` [B, T] and give the cache that `advance` writes into."""
        inputs_BT = batch["inputs"]
        is_input_BT = inputs_BT > PADDING
        own_T = is_input_BT, None
        bias_B1TT = score_bias(_allowed(own_T, own_T))
        x_BTD = self.encoder(self._embed(inputs_BT, None), bias_B1TT, EVALUATION)
        layers, n_examples = self.decoder.layers, len(inputs_BT)
        shape = (n_examples, decoding.max_length, decoding.beam_size, *self.heads)
        beams = (n_examples, decoding.beam_size, decoding.max_length)
        return {
            # The beam in which the token of each position was written: keys and values never move.
            "ancestors_BKP": torch.zeros(beams, dtype=torch.int64, device=inputs_BT.device),
            "own": [(x_BTD.new_empty(shape), x_BTD.new_empty(shape)) for _ in layers],
            "encoded": [layer.cross_attn.keys_values(x_BTD) for layer in layers],
            "bias_B11T": score_bias(is_input_BT[:, None, :]),
        }

    def advance(
        self, cache: Cache, parents_BK: torch.Tensor, tokens_BK: torch.Tensor, position: int
    ) -> tuple[torch.Tensor, Cache]:
        """Give the logits [B, K, V] after `tokens_BK`, which continue the beams `parents_BK`.

        `position` is the tokens' own, 0 for the start token. The cache given is written into.
        """
        n_beams = tokens_BK.shape[1]
        past_BKP = cache["ancestors_BKP"][:, :, : position + 1]
        past_BKP.copy_(past_BKP.gather(1, parents_BK[:, :, None].expand_as(past_BKP)))
        beams_K = torch.arange(n_beams, device=tokens_BK.device)
        past_BKP[:, :, position] = beams_K
        allowed_BKT = (past_BKP[..., None] == beams_K).flatten(2)
        y_BKD = self.shared_embedding(tokens_BK) + self.positions_LD[position]
        biases = Biases(score_bias(allowed_BKT), cache["bias_B11T"])
        return self._logits(self.decoder.advance(y_BKD, cache, biases, position)), cache

    def _embed(self, tokens_BL: torch.Tensor, positions_BL: torch.Tensor | None) -> torch.Tensor:
        chosen: Any = slice(tokens_BL.shape[1]) if positions_BL is None else positions_BL
        return self.shared_embedding(tokens_BL) + self.positions_LD[chosen]

    def _logits(self, y_BLD: torch.Tensor) -> torch.Tensor:
        scaled_BLD = y_BLD / math.sqrt(y_BLD.shape[-1])  # smaller than the logits
        return linear(scaled_BLD, self.shared_embedding.weight)


def build(config: Any) -> nn.Module:
    """Build the model with torch's current random state."""
    return Transformer(config)


Tokens = tuple[torch.Tensor, torch.Tensor | None]  # whether there is one, and of which sentence


def _allowed(asking: Tokens, asked: Tokens) -> torch.Tensor:
    """Give who may ask whom, [B, Q, T]: tokens, and of a packed row those of one sentence."""
    allowed_BQT = asking[0][:, :, None] & asked[0][:, None, :]
    if asking[1] is None or asked[1] is None:
        return allowed_BQT
    return allowed_BQT & (asking[1][:, :, None] == asked[1][:, None, :])
