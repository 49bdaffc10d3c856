"""BLEU: AlgoPerf's golden vectors, cases worked by hand, and sacreBLEU beside it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from tests.support import REPOSITORY
from workloads.wmt import bleu

GOLDEN = REPOSITORY.parent / "shared" / "spec" / "golden" / "golden_bleu.json"


def corpus(hypotheses: list[str], references: list[str]) -> Any:
    """Give a corpus's counts."""
    pairs = zip(hypotheses, references, strict=True)
    return sum((bleu.count(*pair) for pair in pairs), np.zeros(bleu.N_COUNTS, np.int64))


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the golden values are not at hand")
def test_golden_vectors_come_out() -> None:
    for case in json.loads(GOLDEN.read_text(encoding="utf-8")):
        counts = corpus(case["hyps"], case["refs"])
        assert counts[:4].tolist() == case["counts"]
        assert counts[4:8].tolist() == case["totals"]
        assert counts[8:].tolist() == [case["sys_len"], case["ref_len"]]
        assert [" ".join(bleu.tokenize(line)) for line in case["hyps"]] == case["tok_hyps"]
        assert bleu.score(counts) == pytest.approx(case["score"], rel=1e-12)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("It's 3.5% - or 1-2?  ", ["It's", "3.5", "%", "-", "or", "1", "-", "2", "?"]),
        ("a,b 1,000,000.", ["a", ",", "b", "1,000,000", "."]),
        # entities come before &amp; only in this order, so &amp;lt; becomes &lt; and then <
        ("&quot;x&quot; &amp;lt; y", ['"', "x", '"', "<", "y"]),
        ("a <skipped> b well-\nknown\nend", ["a", "b", "wellknown", "end"]),
        ("(a)[b]{c}/d:e;f", list("(a)[b]{c}/d:e;f")),
        ("", []),
    ],
)
def test_lines_are_cut_into_words_as_13a_does(line: str, words: list[str]) -> None:
    assert bleu.tokenize(line) == words


def test_a_score_worked_by_hand() -> None:
    # "a b c d e" against "a b c x e": words 4 of 5, pairs 2 of 4, threes 1 of 3, fours 0 of 2,
    # which smoothing makes 1/2 of 2
    wanted = 100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25
    assert bleu.score(corpus(["a b c d e"], ["a b c x e"])) == pytest.approx(wanted, rel=1e-12)


def test_short_translations_are_punished() -> None:
    wanted = 100 * math.exp(1 - 6 / 4)
    assert bleu.score(corpus(["a b c d"], ["a b c d e f"])) == pytest.approx(wanted, rel=1e-12)


def test_nothing_written_scores_nothing() -> None:
    assert bleu.score(corpus([""], ["a b"])) == 0
    assert bleu.standard_score(corpus(["x y z w v"], ["a b"])) == 0
    assert bleu.score(corpus(["x y z w v"], ["a b"])) > 0  # smoothing, as in sacreBLEU 1.3.1


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    hypotheses, references = ["a b c", "d e f g", ""], ["a b", "d e f g h", "i"]
    whole = corpus(hypotheses, references)
    parts = corpus(hypotheses[:1], references[:1]) + corpus(hypotheses[1:], references[1:])
    assert whole.tolist() == parts.tolist()


def test_the_standard_score_is_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    draw = random.Random(0)
    alphabet = "ab,.- 12'\"&;amp%$()éü<>/!?:{}~"

    def line() -> str:
        return "".join(draw.choices(alphabet, k=draw.randint(0, 40)))

    for _ in range(200):
        hypotheses = [line() for _ in range(draw.randint(1, 4))]
        references = [
            line() if draw.random() < 0.3 else h[: draw.randint(0, 40)] + "x" for h in hypotheses
        ]
        wanted = sacrebleu.corpus_bleu(hypotheses, [references], force=True).score
        found = bleu.standard_score(corpus(hypotheses, references))
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)
