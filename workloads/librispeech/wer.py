"""The word error rate, as AlgoPerf's targets count it and as it is meant.

AlgoPerf v0.6 (and v0.5) compares not texts but what Python prints of a TensorFlow string tensor:
`tf.Tensor(b'THE CAT', shape=(), dtype=string)`, split at blanks. So every reference has two more
words (three if it is empty), an error in the first or last word costs as much as elsewhere but a
missing last word costs two, and where only one of the two texts has an apostrophe, the quotation
marks differ. The targets were set with this; it is `wer`. `wer_clean` compares the texts.

Letters: B batch, T frames, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Batch, LossValue, Partial
from workloads.librispeech.tokens import Tokenizer

BLANK = 0


@dataclass(frozen=True, slots=True)
class WordErrors:
    """`wer`, `wer_clean` and `ctc_loss` of a split, from the likeliest token of every frame.

    All are ratios of sums over the split: word errors over the references' words, and CTC losses
    over target tokens. Without a tokenizer, which lies with the data, only `ctc_loss` is given.
    """

    tokenizer: Tokenizer | None = None

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give the sums of a batch; `outputs` are ids [B, T] and paddings [B, T]."""
        weights_B = batch["weights"].astype(np.float64)
        targets_BL, target_paddings_BL = batch["targets"]
        n_tokens_B = (1 - target_paddings_BL.astype(np.float64)).sum(1)
        sums = {
            "loss": loss.per_example.astype(np.float64) @ weights_B,
            "n_tokens": n_tokens_B @ weights_B,
        }
        if self.tokenizer is None:
            return sums
        real = np.flatnonzero(weights_B)
        spoken = [targets_BL[b, target_paddings_BL[b] == 0] for b in real]
        heard = [collapse(outputs[0][b], outputs[1][b]) for b in real]
        pairs = list(zip(self.tokenizer.decode(heard), self.tokenizer.decode(spoken), strict=True))
        for name, words_of in (("", printed_words), ("_clean", str.split)):
            errors = [count_errors(words_of(h), words_of(r)) for h, r in pairs]
            sums[f"errors{name}"] = np.float64(sum(errors))
            sums[f"words{name}"] = np.float64(sum(len(words_of(r)) for _, r in pairs))
        return sums

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Add the sums."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:  # noqa: ARG002 (a metric's)
        """Divide; a split without words or tokens counts as having one."""
        found = {"ctc_loss": float(partial["loss"] / max(1.0, partial["n_tokens"]))}
        for name in ("", "_clean"):
            if f"errors{name}" in partial:
                n_words = max(1.0, partial[f"words{name}"])
                found[f"wer{name}"] = float(partial[f"errors{name}"] / n_words)
        return found


def collapse(ids_T: NDArray[Any], paddings_T: NDArray[Any]) -> NDArray[Any]:
    """Give the tokens that frames stand for: padding off, repetitions once, then blanks off.

    Source: greedy decoding of AlgoPerf v0.6, without the error by which its jax moves a token into
    an empty first row.
    """
    ids = ids_T[paddings_T == 0]
    is_new = np.ones(len(ids), bool)
    is_new[1:] = ids[1:] != ids[:-1]
    return ids[is_new & (ids != BLANK)]


def printed_words(text: str) -> list[str]:
    """Give the words of what TensorFlow prints of a scalar string tensor."""
    return f"tf.Tensor({text.encode()!r}, shape=(), dtype=string)".split()


def count_errors(heard: list[str], spoken: list[str]) -> int:
    """Give the least number of words to insert, delete or replace to turn one into the other."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(heard, spoken))
