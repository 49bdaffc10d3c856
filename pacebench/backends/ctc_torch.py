"""CTC of what cannot be aligned, in torch: optax's meaning, which is finite where torch's is not.

Letters: B batch, T frames, C classes, L tokens.
"""

from __future__ import annotations

import torch

BREAK_COST = 1e5
"""What it costs to break a rule of alignments; optax's `ctc_loss` writes -10⁵ for log 0."""


def is_impossible(
    tokens_BL: torch.Tensor, n_tokens_B: torch.Tensor, n_frames_B: torch.Tensor
) -> torch.Tensor:
    """Whether each example [B] has too few frames: one per token, and one between equal ones."""
    at_L = torch.arange(1, tokens_BL.shape[1], device=tokens_BL.device)
    is_repeat_BL = (tokens_BL[:, 1:] == tokens_BL[:, :-1]) & (at_L < n_tokens_B[:, None])
    return n_frames_B < n_tokens_B + is_repeat_BL.sum(1)


def ctc_with_breaks(
    log_p_BTC: torch.Tensor,
    n_frames_B: torch.Tensor,
    tokens_BL: torch.Tensor,
    n_tokens_B: torch.Tensor,
) -> torch.Tensor:
    """Give -log of the sum over all alignments [B], those among them that break rules for a price.

    An alignment may begin behind any token, or go from a token to its repetition without a blank,
    at BREAK_COST each; so it may take frames for the last tokens alone. What can be aligned costs
    what it costs anyway. The blank is class 0. The forward recursion is that of optax's `ctc_loss`:
    `blank` holds the alignments that are behind the n-th token, `token` those that are at it. It is
    a loop over frames, for the few examples that need it.
    """
    n_examples, n_frames, _ = log_p_BTC.shape
    n_tokens = tokens_BL.shape[1]
    repeats_BL = torch.zeros_like(tokens_BL, dtype=log_p_BTC.dtype)
    repeats_BL[:, :-1] = (tokens_BL[:, :-1] == tokens_BL[:, 1:]).to(log_p_BTC.dtype)
    log_p_token_BTL = log_p_BTC.gather(2, tokens_BL[:, None].expand(-1, n_frames, -1))
    blank = log_p_BTC.new_full((n_examples, n_tokens + 1), -BREAK_COST)
    blank[:, 0] = 0.0
    token = log_p_BTC.new_full((n_examples, n_tokens), -BREAK_COST)
    for t in range(n_frames):
        behind = _joined(blank, token - BREAK_COST * repeats_BL)
        log_p_B1, log_p_BL = log_p_BTC[:, t, :1], log_p_token_BTL[:, t]
        next_token = torch.logaddexp(behind[:, :-1], token) + log_p_BL
        next_blank = _joined(behind + log_p_B1, token + log_p_B1 - BREAK_COST * (1 - repeats_BL))
        is_frame_B1 = (t < n_frames_B)[:, None]
        blank = torch.where(is_frame_B1, next_blank, blank)
        token = torch.where(is_frame_B1, next_token, token)
    return -_joined(blank, token).gather(1, n_tokens_B[:, None])[:, 0]


def _joined(blank: torch.Tensor, from_token: torch.Tensor) -> torch.Tensor:
    """Let alignments at a token be behind it as well."""
    return torch.cat([blank[:, :1], torch.logaddexp(blank[:, 1:], from_token)], dim=1)
