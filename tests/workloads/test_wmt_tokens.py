"""The tokenizer and the metric on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.spec import LossValue
from workloads.wmt import bleu
from workloads.wmt.metric import PerToken, Translation
from workloads.wmt.tokens import MODEL_FILE, Tokenizer, first_sentences, train

TEXT = [(f"Das Haus {i} ist grün .", f"The house {i} is green .") for i in range(40)]
PAIRS = [(first.encode(), second.encode()) for first, second in TEXT]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("model") / MODEL_FILE
    train(PAIRS, path, n_pieces=60, n_text_bytes=10_000)
    return Tokenizer(path)


def test_sentences_end_in_2_and_come_back(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.encode(["The house 7 is green ."])
    assert ids[-1] == 2 and 2 not in ids[:-1]
    assert tokenizer.decode([ids]) == ["The house 7 is green ."]


def test_what_is_unknown_is_0_and_prints_as_its_mark(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.encode(["The ☃ house"])
    assert 0 in ids
    assert tokenizer.decode([ids]) == ["The  ⁇  house"]


def test_tokens_beyond_the_vocabulary_are_unknown(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([[len(tokenizer) + 5, 2]]) == tokenizer.decode([[0, 2]])


def test_threads_change_nothing(tokenizer: Tokenizer) -> None:
    lines = [second for _, second in TEXT]
    assert tokenizer.encode(lines, n_threads=3) == tokenizer.encode(lines)


def test_the_same_text_gives_the_same_tokenizer(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(PAIRS, tmp_path / name, n_pieces=60, n_text_bytes=10_000)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_text_ends_with_the_pair_that_fills_it() -> None:
    pairs = [(b"ab", b"cd"), (b"e", b"f"), (b"g", b"h")]
    # 2 + 1 + 2 + 1 = 6 bytes, then 4 more
    assert list(first_sentences(pairs, 6)) == ["ab", "cd"]
    assert list(first_sentences(pairs, 7)) == ["ab", "cd", "e", "f"]
    assert list(first_sentences(pairs, 100)) == ["ab", "cd", "e", "f", "g", "h"]


def test_a_text_too_small_for_the_vocabulary_gives_fewer_pieces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(PAIRS, tmp_path / "m", n_pieces=5000, n_text_bytes=10_000)
    assert 30 < len(Tokenizer(tmp_path / "m")) < 5000
    assert "too small for 5,000 pieces" in caplog.text


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"no model")
    with pytest.raises(DataError, match="m is no SentencePiece model"):
        Tokenizer(tmp_path / "m")


def batch_of(
    tokenizer: Tokenizer, targets: list[str], decoded: list[list[int]], n_padding: int = 0
) -> tuple[Any, LossValue, dict[str, Any]]:
    """Give outputs, loss and batch; padding repeats the first row with weight 0."""
    rows = [*tokenizer.encode(targets)]
    rows += [rows[0]] * n_padding
    length = max(len(r) for r in [*rows, *decoded])
    ids = np.array([r + [0] * (length - len(r)) for r in rows], np.int32)
    written = [*decoded, *[decoded[0]] * n_padding]
    weights = (ids > 0).astype(np.float32)
    weights[len(targets) :] = 0
    texts = [t.encode() for t in [*targets, *[targets[0]] * n_padding]]
    width = max(map(len, texts)) + 3
    batch = {
        "targets": ids,
        "weights": weights,
        "references": np.array([list(t.ljust(width, b"\0")) for t in texts], np.uint8),
        "decoded": np.array([r + [0] * (length - len(r)) for r in written], np.int32),
    }
    outputs = ids.copy()
    outputs[0, 0] += 1  # one token wrong
    per_example = np.full(ids.shape, 0.5, np.float32) * weights
    loss = LossValue(
        summed=per_example.sum(), n_valid_examples=weights.sum(), per_example=per_example
    )
    return outputs, loss, batch


def test_the_metric_scores_what_was_written(tokenizer: Tokenizer) -> None:
    metric = Translation(tokenizer=tokenizer)
    targets = ["The house 3 is green .", "The house 11 is green ."]
    written = ["The house 3 is green .", "The house 1 is green ."]
    decoded = [[*ids, 7, 7] for ids in tokenizer.encode(written)]  # what follows the end is cut
    result = metric.finish(metric.update(*batch_of(tokenizer, targets, decoded)), 2)
    wanted = bleu.score(sum(bleu.count(*p) for p in zip(written, targets, strict=True)))
    assert result["bleu"] == result["bleu_clean"] == pytest.approx(wanted)
    n_tokens = sum(map(len, tokenizer.encode(targets)))
    assert result["loss"] == pytest.approx(0.5)
    assert result["accuracy"] == pytest.approx((n_tokens - 1) / n_tokens)


def test_metrics_do_not_depend_on_batches_or_padding(tokenizer: Tokenizer) -> None:
    metric = Translation(tokenizer=tokenizer)
    targets = [second for _, second in TEXT[:6]]
    decoded = tokenizer.encode([second for _, second in TEXT[1:7]])
    whole = metric.update(*batch_of(tokenizer, targets, decoded))
    first = metric.update(*batch_of(tokenizer, targets[:4], decoded[:4], n_padding=2))
    second = metric.update(*batch_of(tokenizer, targets[4:], decoded[4:], n_padding=4))
    merged = metric.finish(metric.merge(first, second), 6)
    wanted = metric.finish(whole, 6)
    assert merged["bleu"] == wanted["bleu"] and merged["bleu_clean"] == wanted["bleu_clean"]
    assert merged["loss"] == pytest.approx(wanted["loss"])


def test_without_an_end_one_token_counts_for_the_target_and_all_for_the_clean_score(
    tokenizer: Tokenizer,
) -> None:
    target = "The house 3 is green ."
    ids = tokenizer.encode([target])[0][:-1]
    metric = Translation(tokenizer=tokenizer)
    partial = metric.update(*batch_of(tokenizer, [target], [ids]))
    first_word = tokenizer.decode([ids[:1]])[0]
    assert partial["bleu"].tolist() == bleu.count(first_word, target).tolist()
    assert metric.finish(partial, 1)["bleu_clean"] == pytest.approx(100)


def test_the_reference_of_the_target_is_the_round_trip_and_of_the_clean_score_the_text(
    tokenizer: Tokenizer,
) -> None:
    target = "The ☃ house  is green ."  # an unknown character, and two spaces
    (ids,) = tokenizer.encode([target])
    metric = Translation(tokenizer=tokenizer)
    partial = metric.update(*batch_of(tokenizer, [target], [ids]))
    assert (
        partial["bleu"].tolist()
        == bleu.count("The ⁇ house is green .", "The ⁇ house is green .").tolist()
    )
    assert partial["bleu_clean"].tolist() == bleu.count("The ⁇ house is green .", target).tolist()


def test_loss_and_accuracy_need_no_tokenizer(tokenizer: Tokenizer) -> None:
    outputs, loss, batch = batch_of(tokenizer, ["The house ."], [[2]])
    result = PerToken().finish(PerToken().update(outputs, loss, batch), 1)
    assert result.keys() == {"loss", "accuracy"}
