"""Small raw downloads of a language model, and a plain byte-pair tokenizer to compare with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import regex

from workloads.lm import mini
from workloads.lm.corpus import FINEWEB_EDU, MINI, Corpus
from workloads.lm.prepare import prepare

# Radford et al. 2019, encoder.py, as published there.
GPT2_PATTERN = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
END_OF_TEXT = "<|endoftext|>"
N_MERGES = 60
TEXTS = (
    "The cat sat on the mat, and the other cat sat there.\n\nThat's the end of it!  1984 ...",
    "A thing isn't that other thing; they're all the same: na\u00efve caf\u00e9s"
    " \u4f60\u597d \U0001f600.",
    "   Leading and trailing spaces\tand tabs   ",
)
# As FineWeb-Edu, for texts of some thousand tokens.
TINY = replace(
    FINEWEB_EDU,
    name="finewebedu_lm",
    context=7,
    n_vocab=256 + N_MERGES + 1,
    sizes={"train": 100_000, "validation": 10},
    n_eval_train=5,
    merges_sha256=None,
)


def byte_symbols() -> list[str]:
    """Give GPT-2's visible symbol of every byte (Radford et al. 2019, `bytes_to_unicode`)."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), ord("\u00ac") + 1)]
    kept += range(ord("\u00ae"), ord("\u00ff") + 1)
    symbols, n_moved = [], 0
    for byte in range(256):
        if byte in kept:
            symbols.append(chr(byte))
        else:
            symbols.append(chr(256 + n_moved))
            n_moved += 1
    return symbols


def pieces_of(text: str) -> list[list[str]]:
    """Give the words of a text, each as its bytes' symbols."""
    symbols = byte_symbols()
    return [[symbols[b] for b in word.encode()] for word in GPT2_PATTERN.findall(text)]


def merged(piece: list[str], pair: tuple[str, str]) -> list[str]:
    """Give a word with a pair of neighbours put together wherever it stands."""
    result: list[str] = []
    i = 0
    while i < len(piece):
        is_pair = tuple(piece[i : i + 2]) == pair
        result.append("".join(pair) if is_pair else piece[i])
        i += 2 if is_pair else 1
    return result


def train_merges(texts: Sequence[str], n_merges: int = N_MERGES) -> list[tuple[str, str]]:
    """Learn merges: the commonest pair of neighbours, over and over."""
    pieces = [piece for text in texts for piece in pieces_of(text)]
    merges: list[tuple[str, str]] = []
    for _ in range(n_merges):
        pairs = Counter(p for piece in pieces for p in pairwise(piece))
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        pieces = [merged(piece, merges[-1]) for piece in pieces]
    return merges


def plain_tokens(
    text: str, merges: Sequence[tuple[str, str]], vocabulary: dict[str, int]
) -> list[int]:
    """Tokenise a text without end tokens in it, merge by merge, and put the end token behind it."""
    tokens = []
    for piece in pieces_of(text):
        symbols = piece
        for pair in merges:
            symbols = merged(symbols, pair)
        tokens += [vocabulary[symbol] for symbol in symbols]
    return [*tokens, vocabulary[END_OF_TEXT]]


def write_vocabulary(
    folder: Path, texts: Sequence[str] = TEXTS
) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Write vocab.json and merges.txt in GPT-2's format; gives what is in them."""
    merges = train_merges(texts)
    # Numbers in another order than the ranks of merges, the end token first.
    tokens = [END_OF_TEXT, *reversed([a + b for a, b in merges]), *byte_symbols()]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return merges, vocabulary


def texts_of(n_texts: int, first: int = 0) -> list[str]:
    """Give short texts that tell which they are."""
    return [
        f"Text {i} on the cat that sat" + " there" * (i % 5) for i in range(first, first + n_texts)
    ]


def write_json_lines(path: Path, texts: Sequence[str]) -> None:
    """Write JSON lines as Dolma has them: other fields beside the text."""
    lines = [json.dumps({"id": f"t{i}", "text": t, "source": "x"}) for i, t in enumerate(texts)]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_parquet(path: Path, texts: Sequence[str | None], rows_per_group: int = 4) -> None:
    """Write a Parquet file as FineWeb-Edu's: other columns beside the text."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"text": pyarrow.array(texts, pyarrow.string()), "id": range(len(texts))})
    parquet.write_table(table, path, row_group_size=rows_per_group)


def write_plain(path: Path, texts: Sequence[str]) -> None:
    """Write plain text, documents divided by empty lines."""
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")


def write_raw(folder: Path, corpus: Corpus = TINY, n_texts: int = 60) -> list[str]:
    """Write a raw folder with all three kinds of files; gives its texts in the files' order."""
    assert corpus.n_vocab >= 256 + N_MERGES + 1
    write_vocabulary(folder)
    third = n_texts // 3
    texts = texts_of(n_texts)
    write_json_lines(folder / "a.jsonl", texts[:third])
    write_parquet(folder / "b.parquet", texts[third : 2 * third])
    write_plain(folder / "c.txt", texts[2 * third :])
    plain = [text + "\n" for text in texts[2 * third :]]  # a line ends in its line break
    return [*texts[: 2 * third], *plain]


def write_cycles(folder: Path) -> None:
    """Write finewebedu_lm_mini's data of texts that go round and round four words."""
    raw = folder / MINI.folder / "raw"
    mini.write_raw(raw, [" ba ce di fo" * 15] * 100)
    prepare(MINI, raw, folder, lambda *_: None)
