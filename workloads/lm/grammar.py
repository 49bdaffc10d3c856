"""The planted language of finewebedu_lm_mini: words whose class depends on the two words before.

A text is a chain over classes of words: the class of the next word depends on the classes of the
last two, half of it on the pair alone. A word is drawn from its class whatever came before. So the
least loss that any model can reach is known exactly (`least_losses`). Words are a space, a
consonant and a vowel, and a token each.

Letters: C classes (the last one is the end of a text), W words of a class, N texts, T words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacebench.seeds import example_seeds, uniform

CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"
N_CLASSES, N_WORDS = 20, 5  # words of each class
END = N_CLASSES
# All bytes, a space with each consonant, each word, and the end of a text.
N_TOKENS = 256 + len(CONSONANTS) + N_CLASSES * N_WORDS + 1
# What decides the next class: the pair of classes before, the last class alone, or nothing.
SHARE_OF_PAIR, SHARE_OF_LAST = 0.65, 0.2
CHANCE_OF_END = 1 / 40  # after any word
SEED = 29


def words() -> list[list[str]]:
    """Give the words of every class, commonest first."""
    syllables = [f" {c}{v}" for v in VOWELS for c in CONSONANTS]
    shuffled = [syllables[i] for i in _permutation(len(syllables), 0)]
    return [shuffled[N_WORDS * c : N_WORDS * (c + 1)] for c in range(N_CLASSES)]


def word_chances() -> NDArray[np.float64]:
    """Give how often each word of a class is the one, [W]: 1, 1/2, 1/3, … of the commonest."""
    weights_W = 1 / np.arange(1.0, N_WORDS + 1)
    return weights_W / weights_W.sum()


def class_chances() -> NDArray[np.float64]:
    """Give the chances of the next class by the last but one and the last, [C, C, C]."""
    n = N_CLASSES
    rest = 1 - SHARE_OF_PAIR - SHARE_OF_LAST
    chances_CCC = np.full((n + 1, n + 1, n + 1), rest / n)
    for last in range(n):
        # The pair names a class that each of them alone says nothing about.
        of_pair = _permutation(n, 1 + last)
        of_last = _permutation(n, 1)[last]
        for before in range(n):
            chances_CCC[before, last, of_pair[before]] += SHARE_OF_PAIR
            chances_CCC[before, last, of_last] += SHARE_OF_LAST
        chances_CCC[END, last, of_last] += SHARE_OF_PAIR + SHARE_OF_LAST
    chances_CCC *= 1 - CHANCE_OF_END
    chances_CCC[:, :, END] = CHANCE_OF_END
    chances_CCC[:, END] = [1 / n] * n + [0.0]  # a text begins anew, and has a word
    return chances_CCC


def draw_texts(n_texts: int) -> list[str]:
    """Give texts, the same every time."""
    seeds_N = example_seeds(SEED, 0, np.arange(n_texts))
    cumulated_CCC, cumulated_W = class_chances().cumsum(axis=2), word_chances().cumsum()
    before_N = np.full(n_texts, END)
    last_N = np.full(n_texts, END)
    written = np.array(words())
    texts = [""] * n_texts
    alive_N = np.arange(n_texts)
    step = 0
    while len(alive_N):
        uniforms_N = uniform(seeds_N[alive_N], 2 * step)[:, None]
        rows_NC = cumulated_CCC[before_N[alive_N], last_N[alive_N]]
        # Sums of chances may end a hair below 1; the last class is then meant.
        next_N = np.minimum((uniforms_N >= rows_NC).sum(axis=1), END)
        goes_on_N = next_N != END
        alive_N, next_N = alive_N[goes_on_N], next_N[goes_on_N]
        word_N = np.searchsorted(cumulated_W, uniform(seeds_N[alive_N], 2 * step + 1))
        for text, word in zip(
            alive_N.tolist(), written[next_N, np.minimum(word_N, N_WORDS - 1)], strict=True
        ):
            texts[text] += str(word)
        before_N[alive_N], last_N[alive_N] = last_N[alive_N], next_N
        step += 1
    return texts


def least_losses() -> tuple[float, float, float]:
    """Give the least mean loss of a token, in nats, for one who knows the grammar.

    Of one who sees no word before; of one who sees the last; and of one who sees the last two.
    """
    chances_CCC = class_chances()
    pairs_CC = np.full(chances_CCC.shape[:2], 1 / (N_CLASSES + 1) ** 2)
    for _ in range(2000):  # a text's end mixes fast: far more than enough
        pairs_CC = np.einsum("ab,abc->bc", pairs_CC, chances_CCC)
    single_C = pairs_CC.sum(axis=0)
    joint_CC = np.einsum("ab,abc->bc", pairs_CC, chances_CCC)
    by_last_CC = joint_CC / joint_CC.sum(axis=1, keepdims=True)
    within = (1 - single_C[END]) * _entropy(word_chances())
    of_none = _entropy(single_C)
    of_last = sum(p * _entropy(row) for p, row in zip(single_C, by_last_CC, strict=True))
    of_pair = sum(
        pairs_CC[a, b] * _entropy(chances_CCC[a, b])
        for a in range(N_CLASSES + 1)
        for b in range(N_CLASSES + 1)
    )
    return within + of_none, within + of_last, within + of_pair


def _entropy(chances: NDArray[np.float64]) -> float:
    positive = chances[chances > 0]
    return float(-(positive * np.log(positive)).sum())


def _permutation(n: int, stream: int) -> list[int]:
    """Give numbers below `n` in an order that depends on nothing but `n` and `stream`."""
    drawn = uniform(example_seeds(SEED, 1, np.arange(n)), stream)
    return np.argsort(drawn, kind="stable").tolist()
