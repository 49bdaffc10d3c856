"""GPT-2's byte-pair tokenizer, from the vocabulary's two files.

Source: Radford et al. 2019, "Language models are unsupervised multitask learners". tiktoken does
the work; it knows no token numbers but ranks of merges, so its results are looked up in a table.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.lm.corpus import END_OF_TEXT, Corpus

if TYPE_CHECKING:
    import tiktoken

# Hugging Face's names, and OpenAI's for the same files.
VOCABULARY_FILES = ("vocab.json", "encoder.json")
MERGES_FILES = ("merges.txt", "vocab.bpe")
# GPT-2's visible symbols of bytes: printable characters of Latin-1 stand for themselves, the other
# 68 bytes, in order, for the characters from 256 on (Radford et al. 2019, `bytes_to_unicode`).
_VISIBLE = (*range(33, 127), *range(161, 173), *range(174, 256))
BYTE_OF_SYMBOL = {chr(b): b for b in _VISIBLE} | {
    chr(256 + i): b for i, b in enumerate(sorted(set(range(256)) - set(_VISIBLE)))
}
# GPT-2's: contractions, words, numbers and other characters with a space before them, spaces.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenizer:
    """Turns documents into tokens."""

    encoding: tiktoken.Encoding
    token_of_rank: NDArray[np.uint16]
    end: int
    """The token that follows a document."""

    def encode(self, text: str) -> NDArray[np.uint16]:
        """Give a document's tokens and the end token.

        As with AlgoPerf's tokenizer (v1.0), an end token that is written out in the text is one.
        """
        ranks = self.encoding.encode_to_numpy(text, allowed_special="all")
        return np.append(self.token_of_rank[ranks], np.uint16(self.end))


def find_vocabulary(corpus: Corpus, raw_dir: Path) -> tuple[Path, Path]:
    """Give where the vocabulary and its merges are; raises DataError."""
    found = []
    for names in (VOCABULARY_FILES, MERGES_FILES):
        paths = [raw_dir / name for name in names if (raw_dir / name).is_file()]
        if not paths:
            raise DataError(
                f"{corpus.name}: {raw_dir} has no {' or '.join(names)}, a file of GPT-2's "
                f"tokenizer; {corpus.help}"
            )
        found.append(paths[0])
    return found[0], found[1]


def sha256_of(path: Path) -> str:
    """Give a small file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def open_tokenizer(corpus: Corpus, raw_dir: Path) -> Tokenizer:
    """Build the tokenizer from its files; raises DataError."""
    import tiktoken

    vocabulary_path, merges_path = find_vocabulary(corpus, raw_dir)
    vocabulary = _read_vocabulary(vocabulary_path, corpus.n_vocab)
    absent = [s for s in (*BYTE_OF_SYMBOL, END_OF_TEXT) if s not in vocabulary]
    if absent:
        raise DataError(
            f"{vocabulary_path} lacks '{absent[0]}'; a GPT-2 vocabulary has all 256 bytes and "
            f"{END_OF_TEXT}"
        )
    symbols = [*BYTE_OF_SYMBOL, *_read_merges(merges_path, vocabulary)]
    ranks = {bytes(BYTE_OF_SYMBOL[s] for s in symbol): rank for rank, symbol in enumerate(symbols)}
    if len(ranks) != len(symbols):
        raise DataError(f"{merges_path} makes a token twice; it is not a GPT-2 vocabulary's")
    tokens = [vocabulary[s] for s in (*symbols, END_OF_TEXT)]
    return Tokenizer(
        encoding=tiktoken.Encoding(
            corpus.name,
            pat_str=PATTERN,
            mergeable_ranks=ranks,
            special_tokens={END_OF_TEXT: len(symbols)},
        ),
        token_of_rank=np.array(tokens, np.uint16),
        end=vocabulary[END_OF_TEXT],
    )


def _read_vocabulary(path: Path, n_vocab: int) -> dict[str, int]:
    try:
        vocabulary: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); download it again") from error
    if not isinstance(vocabulary, dict) or not all(type(v) is int for v in vocabulary.values()):
        raise DataError(f"{path} is no object of tokens and their numbers")
    numbers = set(vocabulary.values())
    if len(numbers) != len(vocabulary) or not numbers <= set(range(n_vocab)):
        raise DataError(
            f"{path} has {len(vocabulary):,} tokens; {n_vocab:,} with numbers of their own from 0 "
            "on are expected, or fewer"
        )
    return vocabulary


def _read_merges(path: Path, vocabulary: dict[str, int]) -> list[str]:
    """Give the merged tokens, in order of rank."""
    merged: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error.reason}); download it again") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or not {*parts, "".join(parts)} <= vocabulary.keys():
            raise DataError(
                f"{path}, line {number:,}, is not two tokens of the vocabulary that make a third: "
                f"'{line}'; vocabulary and merges belong together"
            )
        merged.append("".join(parts))
    return merged
