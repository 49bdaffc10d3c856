"""Word error rates: AlgoPerf's, on what TensorFlow prints of a text, and the one that is meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workloads.librispeech.tokens import Tokenizer, train
from workloads.librispeech.wer import WordErrors, collapse, count_errors, printed_words

SENTENCES = ["THE CAT SAT", "THE CAT DON'T RAN", "A DOG RAN", "SAT ON THE DOG'S CAT"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train(SENTENCES, 24), "here")


# Errors and words as AlgoPerf v0.6's own function gave them (facts_speech_dev.md, section 0.1).
@pytest.mark.parametrize(
    ("spoken", "heard", "errors", "n_words"),
    [
        ("THE CAT SAT", "THE CAT SAT", 0, 5),
        ("THE CAT SAT", "THE CAT", 2, 5),
        ("THE CAT DON'T RAN", "THE CAT DONT RAN", 3, 6),
        ("THE CAT SAT RAN", "THE CAT DON'T RAN", 3, 6),
        ("THE CAT", "", 2, 4),
        ("", "", 0, 3),
    ],
)
def test_errors_and_words_are_those_of_algoperfs_printed_tensors(
    spoken: str, heard: str, errors: int, n_words: int
) -> None:
    assert count_errors(printed_words(heard), printed_words(spoken)) == errors
    assert len(printed_words(spoken)) == n_words


def test_printed_words_are_those_that_tensorflow_prints() -> None:
    # facts_speech_dev.md, section 0.1.
    assert " ".join(printed_words("THE CAT SAT")) == (
        "tf.Tensor(b'THE CAT SAT', shape=(), dtype=string)"
    )
    assert " ".join(printed_words("THE CAT DON'T RAN")) == (
        'tf.Tensor(b"THE CAT DON\'T RAN", shape=(), dtype=string)'
    )
    assert printed_words("") == ["tf.Tensor(b'',", "shape=(),", "dtype=string)"]
    assert " ".join(printed_words(" \u2047 ")) == (
        r"tf.Tensor(b' \xe2\x81\x87 ', shape=(), dtype=string)"
    )


def slow_distance(heard: list[str], spoken: list[str]) -> int:
    """Count by the textbook's table (Wagner and Fischer 1974)."""
    table = [
        [i + j if i * j == 0 else 0 for j in range(len(spoken) + 1)] for i in range(len(heard) + 1)
    ]
    for i in range(1, len(heard) + 1):
        for j in range(1, len(spoken) + 1):
            is_other = heard[i - 1] != spoken[j - 1]
            table[i][j] = min(
                table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + is_other
            )
    return table[-1][-1]


def test_errors_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        heard, spoken = (
            ["ABCD"[i] * 2 for i in rng.integers(4, size=rng.integers(9))] for _ in range(2)
        )
        assert count_errors(heard, spoken) == slow_distance(heard, spoken)


@pytest.mark.parametrize(
    ("ids", "n_frames", "expected"),
    [
        ([1, 1, 2, 2, 2, 3], 6, [1, 2, 3]),
        ([0, 5, 5, 0, 5, 0], 6, [5, 5]),  # a blank between two equal tokens keeps both
        ([5, 0, 0, 5, 7, 7], 4, [5, 5]),  # what comes after the last frame is dropped
        ([0, 0, 0], 3, []),
        ([4, 4], 0, []),
    ],
)
def test_frames_collapse_to_tokens(ids: list[int], n_frames: int, expected: list[int]) -> None:
    paddings = (np.arange(len(ids)) >= n_frames).astype(np.float32)
    assert collapse(np.array(ids), paddings).tolist() == expected


def batch_of(
    tokenizer: Tokenizer, spoken: list[str], heard: list[str], losses: list[float]
) -> tuple[Any, Any, Any]:
    """Give outputs, loss and batch in which `heard` was said with a blank after each token."""
    n_rows, n_frames, n_tokens = len(spoken), 80, 40
    ids_BT = np.full((n_rows, n_frames), 9)  # padding may hold anything
    paddings_BT = np.ones((n_rows, n_frames), np.float32)
    targets_BL = np.zeros((n_rows, n_tokens), np.int32)
    target_paddings_BL = np.ones((n_rows, n_tokens), np.float32)
    for b, (said, row) in enumerate(zip(heard, tokenizer.encode(spoken), strict=True)):
        ids = tokenizer.encode([said])[0]
        frames = np.zeros(2 * len(ids), np.int64)
        frames[::2] = ids
        ids_BT[b, : len(frames)], paddings_BT[b, : len(frames)] = frames, 0
        targets_BL[b, : len(row)], target_paddings_BL[b, : len(row)] = row, 0
    loss = SimpleNamespace(per_example=np.array(losses, np.float32))
    batch = {"targets": (targets_BL, target_paddings_BL), "weights": np.ones(n_rows, np.float32)}
    return (ids_BT, paddings_BT), loss, batch


def test_a_split_is_summed_before_it_is_divided(tokenizer: Tokenizer) -> None:
    spoken = ["THE CAT SAT", "THE CAT DON'T RAN", "A DOG"]
    heard = ["THE CAT", "THE CAT DON'T RAN", "A CAT"]
    outputs, loss, batch = batch_of(tokenizer, spoken, heard, [3.0, 5.0, 4.0])
    n_tokens = sum(len(row) for row in tokenizer.encode(spoken))
    metric = WordErrors(tokenizer)
    found = metric.finish(metric.update(outputs, loss, batch), 3)
    # Printed: 2 of 5, 0 of 6, 1 of 4 words; texts: 1 of 3, 0 of 4, 1 of 2.
    assert found == pytest.approx(
        {"wer": 3 / 15, "wer_clean": 2 / 9, "ctc_loss": 12 / n_tokens}, rel=1e-12
    )


def test_batches_and_padded_rows_change_nothing(tokenizer: Tokenizer) -> None:
    rng = np.random.default_rng(1)
    spoken = [SENTENCES[i] for i in rng.integers(4, size=12)]
    heard = [SENTENCES[i] for i in rng.integers(4, size=12)]
    losses = rng.uniform(0, 9, 12).tolist()
    metric = WordErrors(tokenizer)
    whole = metric.finish(metric.update(*batch_of(tokenizer, spoken, heard, losses)), 12)
    for size in (1, 5, 7):
        partial = None
        for start in range(0, 12, size):
            rows = slice(start, start + size)
            n_rows = len(spoken[rows])
            filled = [part[rows] + part[:1] * (size - n_rows) for part in (spoken, heard)]
            outputs, loss, batch = batch_of(
                tokenizer, *filled, losses[rows] + [1e9] * (size - n_rows)
            )
            batch["weights"][n_rows:] = 0
            update = metric.update(outputs, loss, batch)
            partial = update if partial is None else metric.merge(partial, update)
        assert metric.finish(partial, 12) == pytest.approx(whole, rel=1e-12)


def test_without_a_tokenizer_only_the_loss_is_known(tokenizer: Tokenizer) -> None:
    metric = WordErrors()
    values = metric.finish(metric.update(*batch_of(tokenizer, ["A"], ["A"], [2.0])), 1)
    assert set(values) == {"ctc_loss"}
