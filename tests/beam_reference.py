"""Beam search by lists, one example at a time; written from the facts alone, slowly and plainly.

facts_text_graph_ctr.md, section 1, "Decoding": the state, one step, when it stops, what it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pacebench.spec import Decoding

NEG = -1e7
NextLogP = Callable[[tuple[int, ...]], Sequence[float]]
"""The log-probabilities of every next token after some tokens, the start token among them."""


@dataclass
class Example:
    """What the search holds of one example; both lists from worst to best."""

    live: list[tuple[float, tuple[int, ...]]]
    finished: list[tuple[float, bool, tuple[int, ...]]] = field(default_factory=list)


def search(examples: Sequence[NextLogP], decoding: Decoding) -> list[tuple[int, ...]]:
    """Give the best sequence of each example, without the start token and without filling up."""
    k = decoding.beam_size
    start = (decoding.start_token,)
    states = [
        Example(live=[(0.0, start)] + [(NEG, start)] * (k - 1), finished=[(NEG, False, start)] * k)
        for _ in examples
    ]
    i = 0
    while i < decoding.max_length - 1 and not all(is_over(s, decoding) for s in states):
        for state, next_log_p in zip(states, examples, strict=True):
            extend(state, next_log_p, i, decoding)
        i += 1
    return [best(state)[1:] for state in states]


def bp(n: int, decoding: Decoding) -> float:
    """The length penalty."""
    return ((5 + n) / 6) ** decoding.length_penalty


def is_over(state: Example, decoding: Decoding) -> bool:
    """Whether the worst finished beats what the best live can still become."""
    best_live = state.live[-1][0] / bp(decoding.max_length, decoding)
    worst = min(score for score, _, _ in state.finished)
    return all((worst if flag else NEG) > best_live for _, flag, _ in state.finished)


def extend(state: Example, next_log_p: NextLogP, i: int, decoding: Decoding) -> None:
    """Write one token."""
    k = decoding.beam_size
    candidates = [
        (log_p + more, (*sequence, token))
        for log_p, sequence in state.live
        for token, more in enumerate(next_log_p(sequence))
    ]
    candidates = sorted(candidates, key=lambda c: -c[0])[: 2 * k]
    live, finished = [], list(state.finished)
    for log_p, sequence in candidates:
        has_ended = sequence[-1] == decoding.end_token
        live.append((log_p + (NEG if has_ended else 0), sequence))
        score = log_p / bp(i + 1, decoding) + (0 if has_ended else NEG)
        finished.append((score, has_ended, sequence))
    state.live = sorted(live, key=lambda c: -c[0])[:k][::-1]
    state.finished = sorted(finished, key=lambda c: -c[0])[:k][::-1]


def best(state: Example) -> tuple[int, ...]:
    """The best finished sequence, or the best live one if none has finished."""
    if any(flag for _, flag, _ in state.finished):
        return state.finished[-1][2]
    return state.live[-1][1]
