"""SpecAugment of `workloads.librispeech.spec_augment` in torch.

Letters: B batch, F frames, M mel bins, N stripes, L positions along an axis.
"""

from __future__ import annotations

import torch

from pacebench.backends.layers_torch import uniform_of_rows
from workloads.librispeech.spec_augment import SpecAugment


def augment(
    features_BFM: torch.Tensor, paddings_BF: torch.Tensor, config: SpecAugment
) -> torch.Tensor:
    """Give features with stripes hidden, drawn from torch's current random state."""
    numbers = uniform_of_rows(len(features_BFM), config.n_numbers, features_BFM.device)
    return with_stripes(features_BFM, paddings_BF, numbers, config)


def with_stripes(
    features_BFM: torch.Tensor,
    paddings_BF: torch.Tensor,
    numbers: torch.Tensor,
    config: SpecAugment,
) -> torch.Tensor:
    """Give features with the stripes hidden that `numbers` [B, n_numbers] stand for."""
    n_time, n_frequency = config.n_time_stripes, config.n_frequency_stripes
    parts = numbers.split([n_time, n_time, n_frequency, n_frequency], dim=1)
    _, n_frames, n_mels = features_BFM.shape
    lengths_B1 = (1 - paddings_BF).sum(1, keepdim=True)
    is_hidden_BF = _is_hidden(
        *parts[:2], config.widest_time_share * lengths_B1, lengths_B1, n_frames
    )
    mels_B1 = torch.full_like(lengths_B1, n_mels)
    widest_B1 = torch.full_like(lengths_B1, config.widest_frequency_bins)
    is_hidden_BM = _is_hidden(*parts[2:], widest_B1, mels_B1, n_mels)
    return features_BFM.masked_fill(is_hidden_BF[:, :, None] | is_hidden_BM[:, None], 0.0)


def _is_hidden(
    u_BN: torch.Tensor,
    v_BN: torch.Tensor,
    widest_B1: torch.Tensor,
    lengths_B1: torch.Tensor,
    n_positions: int,
) -> torch.Tensor:
    """Whether each position [B, L] lies in a stripe."""
    widths_BN = (u_BN * widest_B1).floor()
    starts_BN = (v_BN * (lengths_B1 - widths_BN + 1)).floor()
    at_L = torch.arange(n_positions, device=u_BN.device)
    is_in_BNL = (at_L >= starts_BN[..., None]) & (at_L < (starts_BN + widths_BN)[..., None])
    return is_in_BNL.any(1)
