"""SpecAugment of `workloads.librispeech.spec_augment` in jax.

Letters: B batch, F frames, M mel bins, N stripes, L positions along an axis.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads.librispeech.spec_augment import SpecAugment


def augment(
    features_BFM: jax.Array, paddings_BF: jax.Array, config: SpecAugment, key: jax.Array
) -> jax.Array:
    """Give features with stripes hidden, drawn from the key."""
    numbers = jax.random.uniform(key, (len(features_BFM), config.n_numbers))
    return with_stripes(features_BFM, paddings_BF, numbers, config)


def with_stripes(
    features_BFM: jax.Array, paddings_BF: jax.Array, numbers: jax.Array, config: SpecAugment
) -> jax.Array:
    """Give features with the stripes hidden that `numbers` [B, n_numbers] stand for."""
    n_time, n_frequency = config.n_time_stripes, config.n_frequency_stripes
    parts = jnp.split(numbers, [n_time, 2 * n_time, 2 * n_time + n_frequency], axis=1)
    _, n_frames, n_mels = features_BFM.shape
    lengths_B1 = (1 - paddings_BF).sum(1, keepdims=True)
    is_hidden_BF = _is_hidden(
        *parts[:2], config.widest_time_share * lengths_B1, lengths_B1, n_frames
    )
    mels_B1 = jnp.full_like(lengths_B1, n_mels)
    widest_B1 = jnp.full_like(lengths_B1, config.widest_frequency_bins)
    is_hidden_BM = _is_hidden(*parts[2:], widest_B1, mels_B1, n_mels)
    return jnp.where(is_hidden_BF[:, :, None] | is_hidden_BM[:, None], 0.0, features_BFM)


def _is_hidden(
    u_BN: jax.Array,
    v_BN: jax.Array,
    widest_B1: jax.Array,
    lengths_B1: jax.Array,
    n_positions: int,
) -> jax.Array:
    """Whether each position [B, L] lies in a stripe."""
    widths_BN = jnp.floor(u_BN * widest_B1)
    starts_BN = jnp.floor(v_BN * (lengths_B1 - widths_BN + 1))
    ends_BN = starts_BN + widths_BN
    at_11L = jnp.arange(n_positions, dtype=jnp.float32).reshape(1, 1, -1)
    return ((at_11L >= starts_BN[..., None]) & (at_11L < ends_BN[..., None])).any(1)
