"""wmt_mini: its generated languages, and its sizes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pacebench.plugins import find_workload, resolve
from pacebench.spec import DataRequest
from tests.workloads.wmt_raw import contents, write_tiny_mini
from tuning.rules import load_rules
from workloads.wmt import bleu, transformer
from workloads.wmt.corpus import MINI
from workloads.wmt.mini import draw_splits
from workloads.wmt.mini_language import Sentence


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Sentence]]:
    from dataclasses import replace

    small = replace(MINI, sizes={"train": 500, "validation": 200, "test": 100})
    return draw_splits(small)


def score(written: list[str], wanted: list[str]) -> float:
    return bleu.score(
        sum(
            (bleu.count(*pair) for pair in zip(written, wanted, strict=True)),
            np.zeros(bleu.N_COUNTS, np.int64),
        )
    )


def test_a_copier_scores_less_than_half_the_target(splits: dict[str, list[Sentence]]) -> None:
    target = load_rules("mini").workloads["wmt_mini"].validation_target
    sentences = splits["validation"]
    wanted = [sentence.second() for sentence in sentences]
    assert score([sentence.first() for sentence in sentences], wanted) < target / 20
    # even one who knows every word and its inflection, but not the order
    assert score([sentence.word_for_word() for sentence in sentences], wanted) < target / 5


def test_always_the_same_sentence_scores_nothing(splits: dict[str, list[Sentence]]) -> None:
    wanted = [sentence.second() for sentence in splits["validation"]]
    most_common = Counter(s.second() for s in splits["train"]).most_common(1)[0][0]
    assert score([most_common] * len(wanted), wanted) < 5


def test_sentences_are_all_different_and_translations_depend_on_them_alone(
    splits: dict[str, list[Sentence]],
) -> None:
    firsts = [sentence.first() for part in splits.values() for sentence in part]
    assert len(set(firsts)) == len(firsts)
    words = Counter(word for part in splits.values() for s in part for word in s.words)
    by_first: dict[tuple[str, tuple[int, int]], set[str]] = {}
    for word in words:  # a form says gender, number, case or tense as its translation needs it
        if word.first and word.keys[0][1] in (0, 3):  # verbs, nouns, particles
            by_first.setdefault((word.first, word.keys[0]), set()).add(word.second)
    verbs = [seconds for (_, keys), seconds in by_first.items() if keys == (6, 0)]
    assert all(len(seconds) <= 2 for seconds in verbs)  # the subject's number
    assert all(len(s) == 1 for (_, keys), s in by_first.items() if keys != (6, 0))


def test_the_same_data_comes_out_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_tiny_mini(tmp_path / name, n_train=60)
    first, second = (contents(tmp_path / name / "wmt_mini") for name in ("a", "b"))
    first.pop("manifest.json"), second.pop("manifest.json")  # they hold the raw files' times
    assert first == second
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")}
    write_tiny_mini(tmp_path / "a", n_train=60)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")} == times


def test_few_sentences_will_do_where_it_is_allowed(tmp_path: Path) -> None:
    write_tiny_mini(tmp_path, n_train=60)
    workload = find_workload("wmt_mini")
    request = DataRequest(data_dir=tmp_path, allow_partial=True)
    assert workload.find_sizes(request) == {
        "train": 60,
        "eval_train": 60,
        "validation": 12,
        "test": 8,
    }


def test_model_and_data_have_the_same_sizes() -> None:
    assert MINI.vocabulary_size == transformer.MINI.n_vocab
    assert MINI.max_length == transformer.MINI.max_length


def test_the_small_model_has_as_many_parameters_as_counted() -> None:
    pytest.importorskip("torch")
    workload = find_workload("wmt_mini")
    width, mlp, n_layers = 64, 128, 2
    attention, norm = 4 * width * width, 2 * width
    dense = width * mlp + mlp + mlp * width + width
    encoder = attention + dense + 2 * norm
    decoder = 2 * attention + dense + 3 * norm
    wanted = 256 * width + n_layers * (encoder + decoder) + 2 * norm
    model = resolve(workload.torch_model)(workload.model_config)
    assert sum(p.numel() for p in model.parameters()) == wanted == workload.n_parameters
