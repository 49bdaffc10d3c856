"""The tokenizer: SentencePiece pieces, trained on transcripts; ids to text and back.

Source: AlgoPerf v0.6, librispeech_tokenizer. Id 0 is SentencePiece's unknown piece and, in the
model's output, CTC's blank; 1 begins a sentence and is never used; 2 ends every target.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError

TOKENIZER_FILE = "spm_model.vocab"
"""AlgoPerf's name; it is SentencePiece's binary model all the same."""
END = 2
# AlgoPerf v0.6: sentences are taken until so many characters are there.
MAX_TRAINING_CHARACTERS = 10_000_000

_log = logging.getLogger(__name__)


class Tokenizer:
    """A trained SentencePiece model."""

    def __init__(self, model: bytes, where: str) -> None:
        import sentencepiece

        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(model)
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{where} is no SentencePiece model; delete it and prepare again"
            ) from error
        self.n_pieces = int(self._pieces.GetPieceSize())
        self.fingerprint = hashlib.sha256(model).hexdigest()

    def encode(self, transcripts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Give the tokens of every transcript, each with the end after it."""
        found = self._pieces.Encode(list(transcripts))
        return [np.array([*ids, END], np.int32) for ids in found]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Give the text of every row of tokens; beginnings and ends leave nothing behind.

        A model may know more tokens than the tokenizer has pieces: those are unknown, as 0 is.
        """
        known = [[i if i < self.n_pieces else 0 for i in map(int, row)] for row in rows]
        texts: list[str] = self._pieces.Decode(known)
        return texts


def load(path: Path, n_pieces: int) -> Tokenizer:
    """Read a tokenizer; raises DataError if it has more pieces than the model has outputs."""
    try:
        tokenizer = Tokenizer(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); prepare the data first") from error
    if tokenizer.n_pieces > n_pieces:
        raise DataError(
            f"{path} has {tokenizer.n_pieces:,} pieces and the model knows {n_pieces:,}; delete it "
            "and prepare again"
        )
    return tokenizer


def train(transcripts: Iterable[str], n_pieces: int) -> bytes:
    """Give a SentencePiece model trained on transcripts; the same ones give the same bytes.

    Where they are too few for `n_pieces` it has fewer, and a warning says so. Raises DataError.
    """
    import sentencepiece

    sentences = list(_until(transcripts, MAX_TRAINING_CHARACTERS))
    if not any(sentences):
        raise DataError("there is no transcript to train the tokenizer on")

    def trained(is_hard_limit: bool) -> bytes:
        model = io.BytesIO()
        # AlgoPerf v0.6: these options, and SentencePiece's defaults.
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=n_pieces,
            model_type="unigram",
            character_coverage=1.0,
            hard_vocab_limit=is_hard_limit,
            minloglevel=2,
        )
        return model.getvalue()

    try:
        return trained(is_hard_limit=True)
    except RuntimeError as error:
        if "Vocabulary size too high" not in str(error):
            raise DataError(f"the tokenizer cannot be trained: {error}") from error
    _log.warning("the transcripts are too few for a tokenizer of %d pieces: it has fewer", n_pieces)
    return trained(is_hard_limit=False)


def _until(transcripts: Iterable[str], max_characters: int) -> Iterable[str]:
    """Give transcripts up to the one with which so many characters are reached."""
    n_characters = 0
    for transcript in transcripts:
        yield transcript
        n_characters += len(transcript)
        if n_characters >= max_characters:
            return
