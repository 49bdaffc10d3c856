"""Sentences as tokens: a SentencePiece model as AlgoPerf trains and uses it.

Source: AlgoPerf v0.6, wmt: unigram, coverage 1.0, everything else SentencePiece's default, so that
0 is <unk> (and padding), 1 <s> and 2 </s>, which ends every sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pacebench.errors import DataError

MODEL_FILE = "wmt_sentencepiece_model"  # AlgoPerf's name
UNKNOWN, END = 0, 2
# SentencePiece's default: in EM every thread sums for itself, so the sums depend on it.
N_TRAINING_THREADS = 16

_log = logging.getLogger(__name__)


class Tokenizer:
    """A trained SentencePiece model."""

    def __init__(self, path: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            self._model: Any = SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{path} is no SentencePiece model ({error}); delete its folder and prepare again"
            ) from error

    def __len__(self) -> int:
        """Count the pieces."""
        return int(self._model.get_piece_size())

    def encode(self, sentences: Sequence[str], n_threads: int = 1) -> list[list[int]]:
        """Give every sentence's tokens, its end included."""
        encoded: list[list[int]] = self._model.encode(
            list(sentences), add_eos=True, num_threads=n_threads
        )
        return encoded

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Give the sentences of tokens; an unknown one prints as " ⁇ ", an end as nothing.

        A token beyond the vocabulary is unknown: a model may have more outputs than a tokenizer
        trained on little text has pieces.
        """
        n_pieces = len(self)
        rows = [[i if i < n_pieces else UNKNOWN for i in row] for row in ids]
        decoded: list[str] = self._model.decode(rows, num_threads=1)
        return decoded


def train(
    pairs: Iterable[tuple[bytes, bytes]], path: Path, *, n_pieces: int, n_text_bytes: int
) -> None:
    """Train a model on the first pairs and write it to `path` as a whole; raises DataError."""
    sentences = list(first_sentences(pairs, n_text_bytes))
    try:
        model = _trained(sentences, n_pieces, is_limit_hard=True)
    except RuntimeError as error:
        if "Vocabulary size" not in str(error):
            raise DataError(f"the tokenizer cannot be trained on this text: {error}") from error
        model = _trained(sentences, n_pieces, is_limit_hard=False)
        _log.warning(
            "the text is too small for %s pieces; the tokenizer has fewer", f"{n_pieces:,}"
        )
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(model)
    aside.replace(path)


def first_sentences(pairs: Iterable[tuple[bytes, bytes]], n_text_bytes: int) -> Iterator[str]:
    """Give both sides of each pair, up to the pair that brings the text to `n_text_bytes`.

    Every sentence counts with the newline that AlgoPerf writes behind it.
    """
    n_bytes = 0
    for pair in pairs:
        yield from (side.decode() for side in pair)
        n_bytes += sum(len(side) + 1 for side in pair)
        if n_bytes >= n_text_bytes:
            return


def _trained(sentences: list[str], n_pieces: int, *, is_limit_hard: bool) -> bytes:
    import io

    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="unigram",
        vocab_size=n_pieces,
        character_coverage=1.0,
        hard_vocab_limit=is_limit_hard,
        num_threads=N_TRAINING_THREADS,
        minloglevel=2,
    )
    return model.getvalue()
