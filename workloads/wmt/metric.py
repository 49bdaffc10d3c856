"""The metric of wmt: loss and accuracy per token, and BLEU of what the beam search gives.

Source: AlgoPerf v0.6, wmt (both frameworks); README.md says where we differ.

Letters: B batch, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Batch, DataRequest, LossValue, Partial
from workloads.wmt import bleu
from workloads.wmt.corpus import Corpus
from workloads.wmt.files import find_manifest
from workloads.wmt.tokens import END, MODEL_FILE, Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class PerToken:
    """Loss and accuracy per token: what can be measured without a tokenizer."""

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give sums over the tokens in float64; `outputs` [B, L] are tokens."""
        weights_BL = batch["weights"].astype(np.float64)
        hits_BL = outputs == batch["targets"]
        return {
            "loss": loss.per_example.astype(np.float64).sum(),
            "hits": (hits_BL * weights_BL).sum(),
            "weights": weights_BL.sum(),
        }

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:  # noqa: ARG002 (tokens count, not rows)
        """Divide by the number of tokens."""
        return {
            "loss": float(partial["loss"] / partial["weights"]),
            "accuracy": float(partial["hits"] / partial["weights"]),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """Loss and accuracy per token, `bleu` and `bleu_clean`.

    `bleu`, AlgoPerf's, decides the target: it compares with the reference as the tokenizer gives it
    back from its tokens, and takes of a translation without an end its first token alone.
    `bleu_clean`, sacreBLEU's standard, compares with the raw text and takes such a translation as
    it is. Needs `batch["decoded"]`, [B, L'] of tokens.
    """

    tokenizer: Tokenizer

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give sums over the tokens in float64, and n-gram counts; `outputs` [B, L] are tokens."""
        # A real row has a token of weight 1, its end at the least; padding has none.
        is_real_B = batch["weights"].any(axis=1)
        decoded = batch["decoded"][is_real_B]
        references = _references(batch["references"][is_real_B])
        targets = self.tokenizer.decode(_first_sentences(batch["targets"][is_real_B]))
        translations = self.tokenizer.decode(_first_sentences(decoded))
        clean = self.tokenizer.decode(_sentences(decoded))
        return {
            **PerToken().update(outputs, loss, batch),
            "bleu": _count(translations, targets),
            "bleu_clean": _count(clean, references),
        }

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums and the counts."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        """Divide by the number of tokens, and score the counts."""
        return {
            **PerToken().finish(partial, n_examples),
            "bleu": bleu.score(partial["bleu"]),
            "bleu_clean": bleu.standard_score(partial["bleu_clean"]),
        }


def open_metric(corpus: Corpus, request: DataRequest) -> Translation:
    """Give the metric with the data's tokenizer; raises DataError."""
    return Translation(tokenizer=Tokenizer(find_manifest(corpus, request)[0] / MODEL_FILE))


def _first_sentences(ids_BL: NDArray[np.integer[Any]]) -> list[list[int]]:
    """Give every row up to its first end, or its first token where there is no end (AlgoPerf)."""
    ends_B = (ids_BL == END).argmax(axis=1)
    return [row[: end + 1] for row, end in zip(ids_BL.tolist(), ends_B.tolist(), strict=True)]


def _sentences(ids_BL: NDArray[np.integer[Any]]) -> list[list[int]]:
    """Give every row up to its first end, or without the padding behind it."""
    is_end_BL = ids_BL == END
    lengths_B = np.where(
        is_end_BL.any(axis=1),
        is_end_BL.argmax(axis=1),
        ids_BL.shape[1] - (ids_BL[:, ::-1] != 0).argmax(axis=1),
    )
    return [row[:length] for row, length in zip(ids_BL.tolist(), lengths_B.tolist(), strict=True)]


def _references(bytes_BM: NDArray[np.uint8]) -> list[str]:
    return [row.tobytes().rstrip(b"\0").decode() for row in bytes_BM]


def _count(translations: list[str], references: list[str]) -> NDArray[np.int64]:
    pairs = zip(translations, references, strict=True)
    return sum((bleu.count(*pair) for pair in pairs), np.zeros(bleu.N_COUNTS, np.int64))
