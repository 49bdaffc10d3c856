"""The encoder-decoder of wmt and its variants (AlgoPerf v0.6) in flax.

Letters: B batch, L positions of targets, T positions of inputs, D width, V vocabulary, K beams,
P positions of a cache. A batch is packed where it has positions and segmentations.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout
from pacebench.spec import Batch, Decoding, Mode
from workloads.wmt.layers_flax import (
    Biases,
    DecoderLayer,
    EncoderLayer,
    KeysValues,
    Past,
    layer_norm,
    score_bias,
)
from workloads.wmt.transformer import EVALUATION, PADDING, START, positions

Cache = dict[str, Any]  # arrays, lists and tuples of them; the leading axis is the batch
Tokens = tuple[jax.Array, jax.Array | None]  # whether there is one, and of which sentence


class Encoder(nn.Module):
    """The layers, and a layer norm at the end where they do not end in one."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, bias_B1TT: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D]."""
        x_BTD = Dropout(self.config.dropout_rate)(x_BTD, mode)
        for i in range(self.config.n_layers):
            x_BTD = EncoderLayer(self.config, name=f"encoderblock_{i}")(x_BTD, bias_B1TT, mode)
        if self.config.is_post_layer_norm:
            return x_BTD
        return layer_norm("encoder_layernorm")(x_BTD)


class Decoder(nn.Module):
    """The layers, and a layer norm at the end where they do not end in one."""

    config: Any

    def setup(self) -> None:
        """Name the layers."""
        self.dropout = Dropout(self.config.dropout_rate)
        self.layers = [
            DecoderLayer(self.config, name=f"encoderdecoderblock_{i}")
            for i in range(self.config.n_layers)
        ]
        is_normed = not self.config.is_post_layer_norm
        self.norm = layer_norm("encoderdecoder_layernorm") if is_normed else None

    def __call__(self, y_BLD: jax.Array, x_BTD: jax.Array, biases: Biases, mode: Mode) -> jax.Array:
        """Give [B, L, D] from the embedded targets and the encoded inputs."""
        y_BLD = self.dropout(y_BLD, mode)
        for layer in self.layers:
            y_BLD, _ = layer(y_BLD, layer.encoded(x_BTD), biases, mode)
        return y_BLD if self.norm is None else self.norm(y_BLD)

    def encoded(self, x_BTD: jax.Array) -> list[KeysValues]:
        """Give what each layer can ask of the encoded inputs."""
        return [layer.encoded(x_BTD) for layer in self.layers]

    def advance(
        self, y_BKD: jax.Array, cache: Cache, biases: Biases, position: jax.Array
    ) -> tuple[jax.Array, list[KeysValues]]:
        """Give [B, K, D] of the beams' next position, and the keys and values with it."""
        written = []
        for layer, own, encoded in zip(self.layers, cache["own"], cache["encoded"], strict=True):
            y_BKD, past = layer(y_BKD, encoded, biases, EVALUATION, Past(*own, position))
            written.append(past[:2])
        return y_BKD if self.norm is None else self.norm(y_BKD), written


class Transformer(nn.Module):
    """One embedding for inputs, targets and logits; an encoder; a decoder."""

    config: Any

    def setup(self) -> None:
        """Name the three parts."""
        config = self.config
        starts = nn.initializers.normal(1.0)
        self.shared_embedding = nn.Embed(config.n_vocab, config.width, embedding_init=starts)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def __call__(self, batch: Batch, mode: Mode) -> jax.Array:
        """Give the logits [B, L, V] of `targets` [B, L], each from those before it and `inputs`."""
        inputs_BT, targets_BL = batch["inputs"], batch["targets"]
        own_T = inputs_BT > PADDING, batch.get("inputs_segmentation")
        own_L = targets_BL > PADDING, batch.get("targets_segmentation")
        x_BTD = self._embed(inputs_BT, batch.get("inputs_position"))
        x_BTD = self.encoder(x_BTD, score_bias(_allowed(own_T, own_T)), mode)
        # Shifted over the whole row: a later sentence of a packed row starts from the end token
        # of the one before it (AlgoPerf v0.6).
        shifted_BL = jnp.pad(targets_BL[:, :-1], ((0, 0), (1, 0)), constant_values=START)
        y_BLD = self._embed(shifted_BL, batch.get("targets_position"))
        allowed_BLL = jnp.tril(_allowed(own_L, own_L))
        biases = Biases(score_bias(allowed_BLL), score_bias(_allowed(own_L, own_T)))
        return self._logits(self.decoder(y_BLD, x_BTD, biases, mode))

    def start(self, batch: Batch, decoding: Decoding) -> Cache:
        """Encode `inputs` [B, T] and give the cache that `advance` starts from."""
        config, inputs_BT = self.config, batch["inputs"]
        is_input_BT = inputs_BT > PADDING
        own_T = is_input_BT, None
        bias_B1TT = score_bias(_allowed(own_T, own_T))
        x_BTD = self.encoder(self._embed(inputs_BT, None), bias_B1TT, EVALUATION)
        n_examples, n_beams, n_past = len(x_BTD), decoding.beam_size, decoding.max_length
        heads = (config.n_heads, config.width // config.n_heads)
        empty = jnp.zeros((n_examples, n_past, n_beams, *heads))
        return {
            # The beam in which the token of each position was written: keys and values never move.
            # A position to come has none.
            "ancestors_BKP": jnp.full((n_examples, n_beams, n_past), -1),
            "own": [(empty, empty) for _ in range(config.n_layers)],
            "encoded": self.decoder.encoded(x_BTD),
            "bias_B11T": score_bias(is_input_BT[:, None, :]),
        }

    def advance(
        self, cache: Cache, parents_BK: jax.Array, tokens_BK: jax.Array, position: jax.Array
    ) -> tuple[jax.Array, Cache]:
        """Give the logits [B, K, V] after `tokens_BK`, which continue the beams `parents_BK`.

        `position` is the tokens' own, 0 for the start token.
        """
        beams_K = jnp.arange(tokens_BK.shape[1])
        past_BKP = jnp.take_along_axis(cache["ancestors_BKP"], parents_BK[:, :, None], axis=1)
        past_BKP = past_BKP.at[:, :, position].set(beams_K[None])
        allowed_BKPK = past_BKP[..., None] == beams_K[None, None, None]
        allowed_BKT = allowed_BKPK.reshape(*tokens_BK.shape, -1)
        places_LD = jnp.asarray(positions(self.config.max_length, self.config.width))
        y_BKD = self.shared_embedding(tokens_BK) + places_LD[position][None, None]
        biases = Biases(score_bias(allowed_BKT), cache["bias_B11T"])
        y_BKD, own = self.decoder.advance(y_BKD, cache, biases, position)
        return self._logits(y_BKD), {**cache, "ancestors_BKP": past_BKP, "own": own}

    def _embed(self, tokens_BL: jax.Array, positions_BL: jax.Array | None) -> jax.Array:
        places_LD = jnp.asarray(positions(self.config.max_length, self.config.width))
        if positions_BL is None:
            places = places_LD[None, : tokens_BL.shape[1]]
        else:
            places = places_LD[positions_BL]
        return self.shared_embedding(tokens_BL) + places

    def _logits(self, y_BLD: jax.Array) -> jax.Array:
        scaled_BLD = y_BLD / math.sqrt(y_BLD.shape[-1])  # smaller than the logits
        return self.shared_embedding.attend(scaled_BLD)


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return Transformer(config)


def _allowed(asking: Tokens, asked: Tokens) -> jax.Array:
    """Give who may ask whom, [B, Q, T]: tokens, and of a packed row those of one sentence."""
    allowed_BQT = asking[0][:, :, None] & asked[0][:, None, :]
    if asking[1] is None or asked[1] is None:
        return allowed_BQT
    return allowed_BQT & (asking[1][:, :, None] == asked[1][:, None, :])
