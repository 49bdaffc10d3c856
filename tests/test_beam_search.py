"""Beam search against all sequences, a plain reference and an example worked by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.beam_search import search
from pacebench.spec import Decoding
from tests import beam_reference
from tests.beam_reference import NextLogP


def random_model(seed: int, n_vocab: int, sharpness: float) -> NextLogP:
    """Give a model whose next tokens depend on all tokens before."""
    known: dict[tuple[int, ...], Any] = {}

    def next_log_p(sequence: tuple[int, ...]) -> Sequence[float]:
        if sequence not in known:
            generator = np.random.default_rng([seed, *sequence])
            logits = sharpness * generator.normal(size=n_vocab)
            known[sequence] = logits - np.log(np.exp(logits).sum())
        return known[sequence]

    return next_log_p


class Beams:
    """What a backend keeps of a decoding, with lists in place of caches."""

    def __init__(self, models: Sequence[NextLogP], decoding: Decoding) -> None:
        self.models = models
        self.n_best = 2 * decoding.beam_size
        self.written: list[list[tuple[int, ...]]] = [[()] * decoding.beam_size for _ in models]
        self.n_calls = 0

    def advance(self, parents: NDArray[Any], tokens: NDArray[Any]) -> tuple[Any, Any]:
        """Append tokens to the parents' sequences; give the likeliest next ones."""
        self.n_calls += 1
        log_p, best = [], []
        for i, model in enumerate(self.models):
            old = self.written[i]
            self.written[i] = [
                (*old[p], int(t)) for p, t in zip(parents[i], tokens[i], strict=True)
            ]
            rows = [np.asarray(model(sequence)) for sequence in self.written[i]]
            order = [np.argsort(-row, kind="stable")[: self.n_best] for row in rows]
            best.append(order)
            log_p.append([row[o] for row, o in zip(rows, order, strict=True)])
        return np.array(log_p, np.float32), np.array(best, np.int32)


def found(models: Sequence[NextLogP], decoding: Decoding) -> NDArray[np.int32]:
    """Search."""
    return search(Beams(models, decoding).advance, len(models), decoding)


def padded(sequences: Sequence[tuple[int, ...]], decoding: Decoding) -> NDArray[np.int32]:
    """Fill sequences up with zeros."""
    rows = np.zeros((len(sequences), decoding.max_length - 1), np.int32)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = sequence
    return rows


@pytest.mark.parametrize("seed", range(200))
def test_it_is_the_plain_reference(seed: int) -> None:
    generator = np.random.default_rng(seed)
    decoding = Decoding(
        beam_size=int(generator.integers(1, 5)),
        length_penalty=float(generator.choice([0.0, 0.6, 1.0])),
        max_length=int(generator.integers(2, 9)),
        start_token=int(generator.integers(0, 2)),
        end_token=int(generator.integers(0, 3)),
    )
    n_vocab, sharpness = int(generator.integers(3, 12)), float(generator.choice([0.5, 2.0]))
    models = [random_model(1000 * seed + i, n_vocab, sharpness) for i in range(2)]
    wanted = padded(beam_reference.search(models, decoding), decoding)
    assert np.array_equal(found(models, decoding), wanted)
    for model, row in zip(models, wanted, strict=True):  # no example depends on its neighbours
        assert np.array_equal(found([model], decoding)[0], row)


@pytest.mark.parametrize("seed", range(10))
def test_with_a_beam_for_every_sequence_it_finds_the_best_of_all(seed: int) -> None:
    # Of 3 tokens two do not end a sequence: never more than 2⁴ live ones of 4 tokens.
    decoding = Decoding(beam_size=16, max_length=5)
    model = random_model(seed, n_vocab=3, sharpness=1.5)
    scores = {}
    for n_tokens in range(1, 5):
        for head in itertools.product((0, 1), repeat=n_tokens - 1):
            sequence = (*head, 2)
            log_p = sum(model((0, *sequence[:i]))[sequence[i]] for i in range(n_tokens))
            scores[sequence] = log_p / ((5 + n_tokens) / 6) ** 0.6
    wanted = max(scores, key=lambda sequence: scores[sequence])
    assert np.array_equal(found([model], decoding), padded([wanted], decoding))


def by_hand(sequence: tuple[int, ...]) -> Sequence[float]:
    """After 0: 2 (the end) with 0.4, 3 with 0.6; after 3: the end with 0.9, 3 with 0.1."""
    p = {0: (1e-9, 1e-9, 0.4, 0.6), 3: (1e-9, 1e-9, 0.9, 0.1)}[sequence[-1]]
    return [math.log(x) for x in p]


def test_a_longer_sequence_may_win_by_the_length_penalty() -> None:
    # log 0.4 / 1 = -0.916 for (2); log 0.54 / (7/6)^0.6 = -0.562 for (3, 2).
    decoding = Decoding(beam_size=2, max_length=6)
    assert found([by_hand], decoding).tolist() == [[3, 2, 0, 0, 0]]


def test_it_stops_when_no_live_sequence_can_win() -> None:
    # After two tokens the finished are at -0.916 and -0.562; the one live, (3, 3), is at
    # log 0.06 = -2.81, and with the penalty of 256 tokens, 9.618, at -0.292: it might win. After
    # three, (3, 3, 3) is at log 0.006 = -5.12, -0.532; after four at -7.42, -0.771; after five at
    # -9.72, -1.011, which is below -0.916.
    decoding = Decoding(beam_size=2)
    beams = Beams([by_hand], decoding)
    assert search(beams.advance, 1, decoding)[0, :3].tolist() == [3, 2, 0]
    assert beams.n_calls == 5


def test_without_an_end_the_best_live_sequence_is_given() -> None:
    def endless(sequence: tuple[int, ...]) -> Sequence[float]:
        return [math.log(p) for p in (0.08, 0.3, 1e-30, 0.5, 0.12)]

    assert found([endless], Decoding(beam_size=2, max_length=4)).tolist() == [[3, 3, 3]]


@pytest.mark.parametrize("log_p", [math.nan, -math.inf])
def test_a_model_that_has_diverged_writes_tokens_too(log_p: float) -> None:
    decoding = Decoding(beam_size=2, max_length=5)

    def advance(parents: NDArray[Any], tokens: NDArray[Any]) -> tuple[Any, Any]:
        return np.full((3, 2, 4), log_p, np.float32), np.tile(
            np.arange(4, dtype=np.int32), (3, 2, 1)
        )

    tokens = search(advance, 3, decoding)
    assert tokens.shape == (3, 4)
    assert set(tokens.flat) <= {0, 1, 2, 3}
