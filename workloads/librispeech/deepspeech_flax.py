"""The DeepSpeech models of librispeech_deepspeech and its variants (AlgoPerf v0.6) in flax.

Letters: B batch, T positions, D width, C classes.
"""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from pacebench.backends.layers_flax import Dropout, MaskedBatchNorm
from pacebench.spec import Batch, Mode
from workloads.librispeech.layers_flax import (
    ACTIVATIONS,
    Features,
    LayerNorm,
    Subsample,
    xavier_dense,
)
from workloads.librispeech.lstm_flax import BidirectionalLstm
from workloads.librispeech.shapes import BATCH_NORM_EPSILON


class Recurrent(nn.Module):
    """A norm and a bidirectional LSTM."""

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, paddings_BT: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D], 0 at padding."""
        y_BTD = _normalized(self.config, x_BTD, paddings_BT, mode)
        return BidirectionalLstm(self.config.width // 2, name="LSTM_0")(y_BTD, paddings_BT)


class FeedForward(nn.Module):
    """A norm, a dense layer, an activation, dropout.

    AlgoPerf's jax drops at 0.1 here whatever rate a call names, where there are residuals; its
    torch at the rate named, and so do we.
    """

    config: Any

    @nn.compact
    def __call__(self, x_BTD: jax.Array, paddings_BT: jax.Array, mode: Mode) -> jax.Array:
        """Give [B, T, D], 0 at padding."""
        config = self.config
        y_BTD = _normalized(config, x_BTD, paddings_BT, mode)
        y_BTD = ACTIVATIONS[config.activation](xavier_dense(config.width, "Dense_0")(y_BTD))
        return Dropout(config.dropout_rate)(y_BTD * (1 - paddings_BT)[..., None], mode)


class DeepSpeech(nn.Module):
    """Features, subsampling, recurrent and feed-forward layers, layer norm, the output layer."""

    config: Any

    @nn.compact
    def __call__(self, batch: Batch, mode: Mode) -> tuple[jax.Array, jax.Array]:
        """Give logits [B, T, C] and paddings [B, T] of `inputs`, waveforms and paddings."""
        config = self.config
        features_BFM, paddings_BF = Features(config)(batch, mode)
        subsample = Subsample(config, config.activation, name="Subsample_0")
        x_BTD, paddings_BT = subsample(features_BFM, paddings_BF)
        x_BTD = Dropout(config.dropout_rate)(x_BTD, mode)
        recurrent, feed_forward = config.n_recurrent_layers, config.n_feed_forward_layers
        layers = [Recurrent(config, name=f"BatchRNN_{i}") for i in range(recurrent)]
        layers += [FeedForward(config, name=f"FeedForwardModule_{i}") for i in range(feed_forward)]
        for layer in layers:
            y_BTD = layer(x_BTD, paddings_BT, mode)
            x_BTD = x_BTD + y_BTD if config.is_residual else y_BTD
        if not config.is_layer_norm_everywhere:
            x_BTD = LayerNorm(name="LayerNorm_0")(x_BTD)
        return xavier_dense(config.vocabulary_size, "Dense_0")(x_BTD), paddings_BT


def build(config: Any) -> nn.Module:
    """Build the module; its parameters come from `init`."""
    return DeepSpeech(config)


def _normalized(config: Any, x_BTD: jax.Array, paddings_BT: jax.Array, mode: Mode) -> jax.Array:
    """Give what a layer begins with: masked batch norm, or layer norm everywhere."""
    if config.is_layer_norm_everywhere:
        return LayerNorm(name="LayerNorm_0")(x_BTD)
    norm = MaskedBatchNorm(BATCH_NORM_EPSILON, config.batch_norm_decay, name="BatchNorm_0")
    return norm(x_BTD, paddings_BT, mode)
