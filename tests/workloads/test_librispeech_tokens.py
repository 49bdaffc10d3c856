"""The tokenizer: SentencePiece's defaults where AlgoPerf keeps them, and the ids that it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from workloads.librispeech import tokens
from workloads.librispeech.tokens import Tokenizer

WORDS = ["THE", "CAT", "DIDN'T", "SIT", "ON", "A", "MAT", "BUT", "NEAR", "IT"]


def sentences(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(WORDS[i] for i in rng.integers(10, size=rng.integers(2, 8))) for _ in range(n)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(tokens.train(sentences(200), 26), "here")


def test_the_same_transcripts_give_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    assert tokenizer.n_pieces == 26
    assert Tokenizer(tokens.train(sentences(200), 26), "there").fingerprint == tokenizer.fingerprint


def test_targets_end_with_2_and_have_no_beginning(tokenizer: Tokenizer) -> None:
    rows = tokenizer.encode(["THE CAT", ""])
    assert rows[0][-1] == 2 and 1 not in rows[0] and rows[1].tolist() == [2]
    assert rows[0].dtype == np.int32


def test_text_comes_back_whole(tokenizer: Tokenizer) -> None:
    texts = sentences(20)
    assert tokenizer.decode(tokenizer.encode(texts)) == texts


def test_beginnings_and_ends_leave_nothing_behind(tokenizer: Tokenizer) -> None:
    # facts_speech_dev.md, section 1.3: ids 1 and 2 are dropped wherever they stand; 0 is unknown.
    cat = tokenizer.encode(["CAT"])[0][:-1].tolist()
    assert tokenizer.decode([[1, *cat, 2, 1, *cat, 2], []]) == ["CAT CAT", ""]
    assert "\u2047" in tokenizer.decode([[0]])[0]


def test_tokens_beyond_the_last_piece_are_unknown(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([[26], [1_023]]) == tokenizer.decode([[0]]) * 2


def test_only_the_first_ten_million_characters_train(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens.MAX_TRAINING_CHARACTERS == 10_000_000  # facts_speech_dev.md, section 1.3
    monkeypatch.setattr(tokens, "MAX_TRAINING_CHARACTERS", 8)
    # The sentence that reaches the limit still counts; Q and Z come after it.
    model = Tokenizer(tokens.train(["ABAB", "BABA", "QZQZ"], 6), "here")
    assert model.decode(model.encode(["AB"])) == ["AB"]
    assert "\u2047" in model.decode(model.encode(["QZ"]))[0]


def test_too_few_transcripts_give_fewer_pieces_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Tokenizer(tokens.train(["THE CAT", "THE MAT"], 1_024), "here")
    assert model.n_pieces < 1_024
    assert "too few for a tokenizer of 1024 pieces" in caplog.text


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_transcripts_are_an_error(texts: list[str]) -> None:
    with pytest.raises(DataError, match="no transcript to train the tokenizer on"):
        tokens.train(texts, 30)


def test_a_vocabulary_smaller_than_the_alphabet_is_an_error() -> None:
    with pytest.raises(DataError, match=r"the tokenizer cannot be trained: .*[Vv]ocab"):
        tokens.train(sentences(20), 8)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    path = tmp_path / tokens.TOKENIZER_FILE
    with pytest.raises(DataError, match=r"spm_model\.vocab cannot be read"):
        tokens.load(path, 30)
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match=r"spm_model\.vocab is no SentencePiece model"):
        tokens.load(path, 30)
