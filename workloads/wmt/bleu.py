"""BLEU as sacreBLEU 1.3.1 computes it, whose score decides AlgoPerf's targets.

One reference, case counts, tokenizer 13a, exponential smoothing, 0 to 100. Source: Papineni et al.
2002 (BLEU), Post 2018 (arXiv:1804.08771); AlgoPerf v0.6, wmt/bleu.py. sacreBLEU 2 differs under its
standard signature, nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp, only where no word matches at all.

Letters: N orders of n-grams.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

MAX_ORDER = 4
N_COUNTS = 2 * MAX_ORDER + 2
# As mteval-v13a: entities in this order.
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_SPACED = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
# What sacreBLEU puts for the logarithm of 0.
_LOG_ZERO = -9_999_999_999.0


def tokenize(line: str) -> list[str]:
    """Give the words of a line (13a)."""
    line = line.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES:
        line = line.replace(entity, character)
    line = f" {line} "
    for pattern, replacement in _SPACED:
        line = pattern.sub(replacement, line)
    return line.split()


def count(hypothesis: str, reference: str) -> NDArray[np.int64]:
    """Give a sentence's counts: matches and n-grams of orders 1 to 4, and both lengths; shape 10.

    A corpus's counts are the sum over its sentences.
    """
    words, wanted = tokenize(hypothesis), tokenize(reference)
    counts = np.zeros(N_COUNTS, np.int64)
    for n in range(1, MAX_ORDER + 1):
        found = _n_grams(words, n)
        counts[n - 1] = (found & _n_grams(wanted, n)).total()
        counts[MAX_ORDER + n - 1] = found.total()
    counts[-2:] = len(words), len(wanted)
    return counts


def score(counts: NDArray[np.int64]) -> float:
    """Give the BLEU, 0 to 100, of a corpus's counts."""
    correct_N, total_N = counts[:MAX_ORDER].tolist(), counts[MAX_ORDER:-2].tolist()
    n_words, n_wanted = counts[-2:].tolist()
    logarithms = []
    smoothing = 1.0
    for correct, total in zip(correct_N, total_N, strict=True):
        if total == 0:
            break
        if correct == 0:
            smoothing *= 2
            logarithms.append(math.log(100 / (smoothing * total)))
        else:
            logarithms.append(math.log(100 * correct / total))
    logarithms += [_LOG_ZERO] * (MAX_ORDER - len(logarithms))
    brevity = 1.0
    if n_words < n_wanted:
        brevity = math.exp(1 - n_wanted / n_words) if n_words > 0 else 0.0
    return brevity * math.exp(sum(logarithms) / MAX_ORDER)


def standard_score(counts: NDArray[np.int64]) -> float:
    """Give the BLEU of sacreBLEU 2: 0 where no word matches, whatever the smoothing would give."""
    return score(counts) if counts[:MAX_ORDER].any() else 0.0


def _n_grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))
