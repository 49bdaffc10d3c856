"""Beam search over a model's next tokens, in numpy: one bookkeeping for both frameworks.

Source: AlgoPerf v0.6, wmt, `decode.py` (after flax's "wmt" example), with the length penalty of Wu
et al. 2016 (arXiv:1609.08144), equation 14.

Letters: B batch, K beams, M likeliest next tokens of a beam, C candidates = 2K, L positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Advance, Decoding

# AlgoPerf v0.6, `decode.NEG_INF`: stands for the log-probability of what cannot be.
IMPOSSIBLE = np.float32(-1e7)

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beams:
    """Sequences that are still written and sequences that have ended, each from worst to best."""

    live_log_p_BK: Floats
    live_BKL: Integers
    finished_scores_BK: Floats
    """Log-probabilities over the length penalty."""
    finished_BKL: Integers
    is_finished_BK: NDArray[np.bool_]
    """Whether a slot of the finished holds a sequence."""


def search(advance: Advance, n_examples: int, decoding: Decoding) -> Integers:
    """Give the best sequence of every example, int32 [B, max_length - 1], without the start token.

    It stops when no live sequence of any example can still overtake a finished one, so an
    example's sequence does not depend on the others. What follows the end token is 0. Without a
    finished sequence the best live one is given.
    """
    beams = _first(n_examples, decoding)
    slots_K = np.arange(decoding.beam_size, dtype=np.int32)
    parents_BK = np.tile(slots_K, (n_examples, 1))
    for position in range(decoding.max_length - 1):
        if _is_over(beams, decoding):
            break
        best = advance(parents_BK, beams.live_BKL[:, :, position])
        beams, parents_BK = _extended(beams, best, position + 1, decoding)
    has_finished_B1 = np.any(beams.is_finished_BK, axis=1, keepdims=True)
    best_BL = np.where(has_finished_B1, beams.finished_BKL[:, -1], beams.live_BKL[:, -1])
    return best_BL[:, 1:]


def length_penalty(n_tokens: int, decoding: Decoding) -> np.float32:
    """Give what the log-probability of `n_tokens` is divided by."""
    return np.float32(((5 + n_tokens) / 6) ** decoding.length_penalty)


def _first(n_examples: int, decoding: Decoding) -> Beams:
    shape = (n_examples, decoding.beam_size)
    live_log_p_BK = np.full(shape, IMPOSSIBLE)
    live_log_p_BK[:, 0] = 0.0  # all beams are the start token alone; one of them counts
    empty_BKL = np.zeros((*shape, decoding.max_length), np.int32)
    live_BKL = empty_BKL.copy()
    live_BKL[:, :, 0] = decoding.start_token
    return Beams(
        live_log_p_BK=live_log_p_BK,
        live_BKL=live_BKL,
        finished_scores_BK=np.full(shape, IMPOSSIBLE),
        finished_BKL=empty_BKL,
        is_finished_BK=np.zeros(shape, np.bool_),
    )


def _is_over(beams: Beams, decoding: Decoding) -> bool:
    """Whether every slot of every example has a sequence that no live one can overtake.

    A live log-probability only falls, and is divided by the penalty of the longest sequence at
    most.
    """
    best_live_B = beams.live_log_p_BK[:, -1] / length_penalty(decoding.max_length, decoding)
    worst_B = beams.finished_scores_BK.min(axis=1)
    return bool(beams.is_finished_BK.all() and (worst_B > best_live_B).all())


def _extended(
    beams: Beams, best: tuple[Floats, Integers], position: int, decoding: Decoding
) -> tuple[Beams, Integers]:
    """Give the beams with a token at `position`, and the beams that the live ones continue."""
    n_beams = decoding.beam_size
    log_p_BKM, tokens_BKM = best
    n_examples, n_best = len(log_p_BKM), log_p_BKM.shape[2]
    all_BA = (log_p_BKM + beams.live_log_p_BK[:, :, None]).reshape(n_examples, -1)
    # Stable, so that of equals the first beam's comes first, as in AlgoPerf.
    chosen_BC = np.argsort(-all_BA, axis=1, kind="stable")[:, : 2 * n_beams]
    log_p_BC = np.take_along_axis(all_BA, chosen_BC, axis=1)
    parents_BC = (chosen_BC // n_best).astype(np.int32)
    written_BC = np.take_along_axis(tokens_BKM.reshape(n_examples, -1), chosen_BC, axis=1)
    candidates_BCL = _rows(beams.live_BKL, parents_BC)
    candidates_BCL[:, :, position] = written_BC
    has_ended_BC = written_BC == decoding.end_token

    live_BC = log_p_BC + np.where(has_ended_BC, IMPOSSIBLE, np.float32(0))
    live_BK = _best(live_BC, n_beams)
    ended_BC = log_p_BC / length_penalty(position, decoding)
    ended_BC = ended_BC + np.where(has_ended_BC, np.float32(0), IMPOSSIBLE)
    scores_BF = np.concatenate([beams.finished_scores_BK, ended_BC], axis=1)
    flags_BF = np.concatenate([beams.is_finished_BK, has_ended_BC], axis=1)
    finished_BFL = np.concatenate([beams.finished_BKL, candidates_BCL], axis=1)
    finished_BK = _best(scores_BF, n_beams)
    extended = Beams(
        live_log_p_BK=np.take_along_axis(live_BC, live_BK, axis=1),
        live_BKL=_rows(candidates_BCL, live_BK),
        finished_scores_BK=np.take_along_axis(scores_BF, finished_BK, axis=1),
        finished_BKL=_rows(finished_BFL, finished_BK),
        is_finished_BK=np.take_along_axis(flags_BF, finished_BK, axis=1),
    )
    return extended, np.take_along_axis(parents_BC, live_BK, axis=1)


def _best(values_BC: Floats, n: int) -> NDArray[np.int64]:
    """Give the places of the `n` largest, the largest last; of equals the first is the larger."""
    order_BC: NDArray[np.int64] = np.argsort(-values_BC, axis=1, kind="stable")
    return order_BC[:, :n][:, ::-1]


def _rows(sequences_BCL: Integers, places_BK: NDArray[np.integer]) -> Integers:
    """Give the sequences at `places_BK`, [B, K, L]."""
    rows: Integers = np.take_along_axis(sequences_BCL, places_BK[:, :, None], axis=1)
    return rows
