"""The planted model of the generated click logs, whose best loss is known.

An advertisement is clicked with probability σ(score). The score adds up an effect of every number,
an effect of every category, products of hidden vectors for some pairs of columns (a factorisation
machine), and effects of categories that turn round where a number is large. Nothing is copied from
a real log; values missing, negative or frequent are as common as there.

Letters: N rows, D numbers (13), C categories (26), P pairs, K hidden values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workloads.criteo.columns import BUCKETS, N_CATEGORIES, N_NUMBERS

_N_VALUES = 40
"""Different values of a category, where it has so many buckets."""
_N_HIDDEN = 4
_N_PAIRS = 16
_N_TURNED = 4
_INTERCEPT = -1.3
_NUMBER_SCALE, _CATEGORY_SCALE, _PAIR_SCALE, _TURNED_SCALE = 0.12, 0.15, 0.55, 0.5
_MISSING_NUMBER, _MISSING_CATEGORY = 0.2, 0.1
"""Shares of columns that are empty, where they may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """What the rows of a log are drawn from."""

    texts_C: list[list[str]]
    """Every column's values; an empty one is missing."""
    shares_C: list[NDArray[np.float64]]
    """How often each value comes."""
    number_effects_D: NDArray[np.float64]
    category_effects_C: list[NDArray[np.float64]]
    pairs_P2: NDArray[np.int64]
    hidden_C: list[NDArray[np.float64]]
    """Every value's hidden vector, [values, K]."""
    turned: list[tuple[int, int, NDArray[np.float64]]]
    """A number's column, a category's column, and the values' effects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Rows of a log."""

    labels_N: NDArray[np.int64]
    numbers_DN: NDArray[np.int64]
    is_missing_DN: NDArray[np.bool_]
    values_CN: NDArray[np.int64]
    probabilities_N: NDArray[np.float64]

    def best_loss(self) -> float:
        """Give the loss of whoever knows all probabilities: their mean entropy, in nats."""
        p_N = self.probabilities_N
        return float(-(p_N * np.log(p_N) + (1 - p_N) * np.log1p(-p_N)).mean())


def plant(seed: int) -> Planted:
    """Draw the planted model."""
    rng = np.random.default_rng(seed)
    n_values = [min(_N_VALUES, n_buckets) for n_buckets in BUCKETS]
    texts_C, shares_C = [], []
    for n in n_values:
        codes = rng.choice(2**32, n, replace=False)
        texts = [f"{code:08x}" for code in codes.tolist()]
        if rng.random() < 0.5:
            texts[-1] = ""
        shares = 1 / np.arange(2, n + 2)
        if texts[-1] == "":
            shares[-1] = _MISSING_CATEGORY * shares[:-1].sum()
        texts_C.append(texts)
        shares_C.append(shares / shares.sum())
    large = [c for c in range(N_CATEGORIES) if n_values[c] == _N_VALUES]
    pairs = [rng.choice(large, 2, replace=False) for _ in range(_N_PAIRS)]
    turned = [
        (
            int(rng.integers(N_NUMBERS)),
            int(rng.choice(large)),
            rng.normal(0, _TURNED_SCALE, _N_VALUES),
        )
        for _ in range(_N_TURNED)
    ]
    hidden_scale = np.sqrt(_PAIR_SCALE / np.sqrt(_N_HIDDEN))  # products then have _PAIR_SCALE
    return Planted(
        texts_C=texts_C,
        shares_C=shares_C,
        number_effects_D=rng.normal(0, _NUMBER_SCALE, N_NUMBERS),
        category_effects_C=[rng.normal(0, _CATEGORY_SCALE, n) for n in n_values],
        pairs_P2=np.array(pairs),
        hidden_C=[rng.normal(0, hidden_scale, (n, _N_HIDDEN)) for n in n_values],
        turned=turned,
    )


def draw(planted: Planted, n_rows: int, rng: np.random.Generator) -> Drawn:
    """Draw rows and whether they are clicked."""
    logs_DN = rng.normal(2.0, 1.2, (N_NUMBERS, n_rows))
    numbers_DN = np.floor(np.exp(logs_DN)).astype(np.int64) - 1
    numbers_DN[1] -= 1  # the second number of the real log goes below -1, too
    is_missing_DN = rng.random((N_NUMBERS, n_rows)) < _MISSING_NUMBER
    is_missing_DN[1] = False  # and is never missing
    values_CN = np.stack([rng.choice(len(shares), n_rows, p=shares) for shares in planted.shares_C])
    seen_DN = np.log1p(np.maximum(np.where(is_missing_DN, 0, numbers_DN), 0))
    score_N = _INTERCEPT + planted.number_effects_D @ (seen_DN - 2.0)
    for column, effects in enumerate(planted.category_effects_C):
        score_N = score_N + effects[values_CN[column]]
    for first, second in planted.pairs_P2.tolist():
        left_NK = planted.hidden_C[first][values_CN[first]]
        right_NK = planted.hidden_C[second][values_CN[second]]
        score_N = score_N + (left_NK * right_NK).sum(axis=1)
    for number, column, effects in planted.turned:
        sign_N = np.where(seen_DN[number] > 2.0, 1.0, -1.0)
        score_N = score_N + sign_N * effects[values_CN[column]]
    probabilities_N = 1 / (1 + np.exp(-score_N))
    return Drawn(
        labels_N=(rng.random(n_rows) < probabilities_N).astype(np.int64),
        numbers_DN=numbers_DN,
        is_missing_DN=is_missing_DN,
        values_CN=values_CN,
        probabilities_N=probabilities_N,
    )


def lines_of(planted: Planted, rows: Drawn) -> bytes:
    """Give the rows as lines of Criteo's logs."""
    columns = [rows.labels_N.astype(str).tolist()]
    for numbers_N, is_missing_N in zip(rows.numbers_DN, rows.is_missing_DN, strict=True):
        columns.append(np.where(is_missing_N, "", numbers_N.astype(str)).tolist())
    for texts, values_N in zip(planted.texts_C, rows.values_CN, strict=True):
        columns.append(np.array(texts)[values_N].tolist())
    lines = ["\t".join(fields) for fields in zip(*columns, strict=True)]
    return ("\n".join(lines) + "\n").encode("ascii")
