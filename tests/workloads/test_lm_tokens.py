"""GPT-2's tokenizer from its two files, against byte-pair encoding done merge by merge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacebench.errors import DataError
from tests.workloads.lm_raw import (
    TEXTS,
    TINY,
    byte_symbols,
    plain_tokens,
    train_merges,
    write_vocabulary,
)
from workloads.lm.tokens import BYTE_OF_SYMBOL, Tokenizer, open_tokenizer

MERGES = train_merges(TEXTS)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, dict[str, int]]:
    """Give a tokenizer of a small vocabulary, and the vocabulary."""
    folder = tmp_path_factory.mktemp("raw")
    _, vocabulary = write_vocabulary(folder)
    return open_tokenizer(TINY, folder), vocabulary


def test_bytes_have_gpt2s_visible_symbols() -> None:
    assert [BYTE_OF_SYMBOL[s] for s in byte_symbols()] == list(range(256))
    # Published vocabularies: a space is "Ġ", a line break "Ċ".
    assert (BYTE_OF_SYMBOL["\u0120"], BYTE_OF_SYMBOL["\u010a"]) == (32, 10)


@settings(max_examples=100, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.sampled_from(TEXTS)))
def test_tokens_are_those_of_merging_one_pair_after_the_other(
    opened: tuple[Tokenizer, dict[str, int]], text: str
) -> None:
    tokenizer, vocabulary = opened
    tokens = tokenizer.encode(text)
    assert tokens.dtype == np.uint16
    assert tokens.tolist() == plain_tokens(text, MERGES, vocabulary)


def test_an_end_token_written_out_in_a_text_is_one(
    opened: tuple[Tokenizer, dict[str, int]],
) -> None:
    tokenizer, vocabulary = opened
    whole = tokenizer.encode("The cat<|endoftext|>sat")
    parts = [plain_tokens(text, MERGES, vocabulary) for text in ("The cat", "sat")]
    assert whole.tolist() == [*parts[0], *parts[1]]


def test_openais_names_of_the_files_are_taken_too(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    (tmp_path / "vocab.json").rename(tmp_path / "encoder.json")
    (tmp_path / "merges.txt").rename(tmp_path / "vocab.bpe")
    assert open_tokenizer(TINY, tmp_path).end == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", None, r"has no vocab\.json or encoder\.json"),
        ("merges.txt", None, r"has no merges\.txt or vocab\.bpe"),
        ("vocab.json", "{", r"vocab\.json is not JSON"),
        ("vocab.json", "[1]", "no object of tokens"),
        ("vocab.json", '{"a": 1}', "lacks '!'; a GPT-2 vocabulary has all 256 bytes"),
        ("vocab.json", '{"a": 1, "b": 1}', "has 2 tokens; 317 with numbers of their own"),
        ("merges.txt", "#version: 0.2\nq q\n", r"merges\.txt, line 2, .*'q q'"),
        ("merges.txt", "\u0120 t h\n", r"merges\.txt, line 1"),
        ("merges.txt", b"\xff\xfe", r"merges\.txt is not UTF-8"),
    ],
)
def test_a_wrong_vocabulary_is_named(
    tmp_path: Path, name: str, content: str | bytes | None, message: str
) -> None:
    write_vocabulary(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        open_tokenizer(TINY, tmp_path)


def test_merges_that_make_a_token_twice_and_too_many_tokens_are_refused(tmp_path: Path) -> None:
    merges, vocabulary = write_vocabulary(tmp_path)
    line = " ".join(merges[0])
    with (tmp_path / "merges.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    with pytest.raises(DataError, match="makes a token twice"):
        open_tokenizer(TINY, tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps({**vocabulary, "more": len(vocabulary)}))
    with pytest.raises(DataError, match="has 318 tokens; 317"):
        open_tokenizer(replace(TINY, n_vocab=317), tmp_path)
