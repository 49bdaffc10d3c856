"""Windows of the language models' streams, their metric, and the generated text's grammar."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.data import TrainBatches, eval_batches, fixed_subset
from pacebench.errors import DataError
from pacebench.evaluate import evaluate
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, EvalOutputs, LossValue
from tests.workloads.lm_raw import TINY, write_raw
from workloads import lm
from workloads.lm import grammar, mini, writing
from workloads.lm.corpus import FINEWEB_EDU, MINI, Corpus
from workloads.lm.metric import Perplexity
from workloads.lm.prepare import prepare

WINDOW = 8


def silent(what: str, done: int, total: int) -> None:
    """Take a report."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a prepared folder whose streams lie in several files."""
    folder = tmp_path_factory.mktemp("lm")
    write_raw(folder / "raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "SHARD_TOKENS", 101)
        prepare(TINY, folder / "raw", folder, silent)
    yield folder


def stream_of(data_dir: Path, split: str) -> np.ndarray:
    """Give a split's tokens."""
    paths = sorted((data_dir / TINY.folder).glob(f"{split}-*.npy"))
    assert len(paths) > 1 or split == "validation"
    return np.concatenate([np.load(path) for path in paths])


def request(data_dir: Path, **changes: Any) -> DataRequest:
    """Give a request that takes what is there."""
    return DataRequest(**{"data_dir": data_dir, "allow_partial": True, **changes})


def test_a_window_is_inputs_and_the_tokens_that_follow_them(data_dir: Path) -> None:
    sources = lm.open_sources(TINY, request(data_dir))
    assert set(sources) == {"train", "eval_train", "validation"}  # there is no test split
    stream = stream_of(data_dir, "train").astype(np.int32)
    size = len(stream) // WINDOW
    assert sources["train"].size == size
    indices = np.array([size - 1, 0, *range(size)])  # some lie across two files
    batch = sources["train"].read(indices, np.zeros(len(indices), np.uint64))
    windows = stream[: size * WINDOW].reshape(size, WINDOW)[indices]
    np.testing.assert_array_equal(batch["inputs"], windows[:, :-1])
    np.testing.assert_array_equal(batch["targets"], windows[:, 1:])
    assert {a.dtype for a in batch.values()} == {np.dtype(np.int32)}
    assert all(a.flags.c_contiguous for a in batch.values())


def test_evaluation_is_on_fixed_windows_as_many_as_stated(data_dir: Path) -> None:
    sources = lm.open_sources(TINY, request(data_dir))
    train, subset = sources["train"], sources["eval_train"]
    assert (subset.size, sources["validation"].size) == (5, 10)
    no_seeds = np.zeros(5, np.uint64)
    wanted = train.read(fixed_subset(train.size, 5), no_seeds)
    np.testing.assert_array_equal(subset.read(np.arange(5), no_seeds)["inputs"], wanted["inputs"])
    first = sources["validation"].read(np.arange(10), np.zeros(10, np.uint64))["inputs"]
    stream = stream_of(data_dir, "validation")[: 10 * WINDOW].reshape(10, WINDOW)
    np.testing.assert_array_equal(first, stream[:, :-1])
    batches = list(eval_batches(sources["validation"], 4, 0, 1))
    assert [batch["weights"].sum() for batch in batches] == [4, 4, 2]


def test_training_sees_every_window_once_an_epoch(data_dir: Path) -> None:
    source = lm.open_sources(TINY, request(data_dir))["train"]
    batches = TrainBatches(source, seed=Seed(3), batch_size=source.size)
    rows = sorted(next(batches)["inputs"].tolist())
    assert rows == sorted(source.read(np.arange(source.size), np.zeros(1))["inputs"].tolist())


def test_sizes_are_published_or_partial_data_must_be_allowed(data_dir: Path) -> None:
    sizes = lm.find_sizes(TINY, request(data_dir))
    n_train = len(stream_of(data_dir, "train")) // WINDOW
    assert sizes == {"train": n_train, "eval_train": 5, "validation": 10, "test": 0}
    with pytest.raises(DataError, match=r"train in .* has .* windows, not the published 100,000"):
        lm.find_sizes(TINY, request(data_dir, allow_partial=False))
    whole = replace(TINY, sizes={"train": n_train, "validation": 10})
    assert lm.find_sizes(whole, request(data_dir, allow_partial=False)) == sizes
    other = replace(whole, merges_sha256="0" * 64)
    with pytest.raises(DataError, match="another vocabulary than GPT-2's"):
        lm.find_sizes(other, request(data_dir, allow_partial=False))
    assert lm.find_sizes(other, request(data_dir)) == sizes


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (replace(TINY, folder="elsewhere"), r"no .*manifest\.json; workloads/lm/README\.md"),
        (replace(TINY, n_vocab=300), "prepared with 317 tokens; .* knows 300"),
        (replace(TINY, context=5000), "train in .* is shorter than one window of 5,001 tokens"),
    ],
)
def test_data_that_does_not_fit_is_named(data_dir: Path, corpus: Corpus, message: str) -> None:
    for function in (lm.find_sizes, lm.open_sources):
        with pytest.raises(DataError, match=message):
            function(corpus, request(data_dir))
    with pytest.raises(DataError, match="needs --data-dir"):
        lm.find_sizes(TINY, DataRequest())


def test_damaged_files_are_named(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    prepare(TINY, tmp_path / "raw", tmp_path, silent)
    folder = tmp_path / TINY.folder
    whole = (folder / "train-00000.npy").read_bytes()
    (folder / "train-00000.npy").write_bytes(whole[:-2])
    with pytest.raises(DataError, match=r"train-00000\.npy has .* bytes, not"):
        lm.open_sources(TINY, request(tmp_path))
    (folder / "train-00000.npy").write_bytes(bytes(len(whole)))
    with pytest.raises(DataError, match=r"a file of train in .* is damaged"):
        lm.open_sources(TINY, request(tmp_path))
    (folder / "train-00000.npy").unlink()
    with pytest.raises(DataError, match=r"train-00000\.npy is missing"):
        lm.open_sources(TINY, request(tmp_path))
    for content in ("{", '{"format": 0}', '{"format": 1}', "[]"):
        (folder / "manifest.json").write_text(content)
        with pytest.raises(DataError, match=r"manifest\.json is damaged"):
            lm.open_sources(TINY, request(tmp_path))


def loss_of(per_example: Any) -> LossValue:
    """Give a loss of these values."""
    return LossValue(summed=0.0, n_valid_examples=0, per_example=np.array(per_example, np.float32))


def test_perplexity_is_the_exponential_of_the_mean_over_all_tokens() -> None:
    metric = Perplexity()
    parts = [
        metric.update(None, loss_of([[1, 2], [3, 4]]), {"weights": np.ones(2, np.float32)}),
        metric.update(None, loss_of([[5, 0], [0, 0]]), {"weights": np.array([1, 0], np.float32)}),
    ]
    found = metric.finish(metric.merge(*parts), 3)
    assert found == pytest.approx({"loss": 15 / 6, "ppl": math.exp(2.5)})
    huge = metric.update(None, loss_of([[1e4]]), {"weights": np.ones(1, np.float32)})
    assert metric.finish(huge, 1)["ppl"] == math.inf


class UniformBackend:
    """Gives every token the loss of its number, wherever it stands."""

    rank, n_ranks = 0, 1

    def eval_batch(self, batch: Any) -> Any:
        return None, loss_of(batch["targets"] * batch["weights"][:, None])

    def gather(self, value: Any) -> list[Any]:
        return [value]


def test_evaluation_measures_no_test_split_and_the_batch_size_changes_nothing(
    data_dir: Path,
) -> None:
    sources = lm.open_sources(TINY, request(data_dir))
    results = [
        evaluate(UniformBackend(), Perplexity(), sources, size)  # type: ignore[arg-type]
        for size in (1, 5, 64)
    ]
    assert set(results[0]) == {f"{s}/{m}" for s in ("train", "validation") for m in ("loss", "ppl")}
    stream = stream_of(data_dir, "validation")[: 10 * WINDOW].reshape(10, WINDOW)
    assert results[0]["validation/loss"] == pytest.approx(stream[:, 1:].mean())
    assert results[0] == results[1] == results[2]


def test_the_workloads_are_algoperfs_and_one_that_is_not() -> None:
    full, speedrun = find_workload("finewebedu_lm"), find_workload("gpt2_124m")
    wanted = {"train": 8_749_870, "eval_train": 10_000, "validation": 100_000, "test": 0}
    assert dict(full.sizes) == wanted
    assert (full.batch_size, full.eval_batch_size, full.n_parameters) == (64, 256, 252_815_372)
    assert -(-wanted["validation"] // full.eval_batch_size) == 391
    assert FINEWEB_EDU.window == 1025
    assert full.eval_outputs is speedrun.eval_outputs is EvalOutputs.NOTHING
    assert "not an AlgoPerf workload" in speedrun.description and not speedrun.algoperf_name


def test_the_generated_text_has_the_frequencies_of_its_grammar() -> None:
    class_of = {word: c for c, of_class in enumerate(grammar.words()) for word in of_class}
    assert len(class_of) == 100
    texts = grammar.draw_texts(2000)
    assert texts[:50] == grammar.draw_texts(50)  # the same every time
    sequences = [
        [class_of[text[i : i + 3]] for i in range(0, len(text), 3)] + [grammar.END]
        for text in texts
    ]
    n_words = sum(len(sequence) - 1 for sequence in sequences)
    assert n_words / 2000 == pytest.approx(40, rel=0.05)  # one over the chance of an end
    triples = Counter(t for s in sequences for t in zip(s, s[1:], s[2:], strict=False))
    chances = grammar.class_chances()
    np.testing.assert_allclose(chances.sum(axis=2), 1)
    for (before, last), seen in Counter(t[:2] for t in triples.elements()).items():
        found = [triples[before, last, c] / seen for c in range(grammar.N_CLASSES + 1)]
        # Five deviations of a share of `seen`, 1/4 being the largest variance.
        np.testing.assert_allclose(found, chances[before, last], atol=2.5 / seen**0.5)
    common = Counter(text[i : i + 3] for text in texts for i in range(0, len(text), 3))
    # The first word of a class is twice as frequent as its second.
    for first, second, *_ in grammar.words():
        assert common[first] / common[second] == pytest.approx(2, rel=0.2)


def test_the_stated_least_perplexities_are_those_of_the_drawn_text() -> None:
    of_none, of_last, of_pair = grammar.least_losses()
    assert [round(math.exp(loss), 1) for loss in (of_none, of_last, of_pair)] == [83.3, 52.4, 15.6]
    # The mean surprise of one who knows the grammar, over a text: what the entropy promises.
    chances, of_word = grammar.class_chances(), grammar.word_chances()
    place = {w: (c, k) for c, ws in enumerate(grammar.words()) for k, w in enumerate(ws)}
    surprises = []
    for text in grammar.draw_texts(1500):
        before = last = grammar.END
        for i in range(0, len(text), 3):
            c, k = place[text[i : i + 3]]
            surprises.append(-math.log(chances[before, last, c] * of_word[k]))
            before, last = last, c
        surprises.append(-math.log(chances[before, last, grammar.END]))
    error = 5 * np.std(surprises) / len(surprises) ** 0.5
    assert np.mean(surprises) == pytest.approx(of_pair, abs=error)


def test_mini_data_is_whole_and_the_same_every_time(tmp_path: Path) -> None:
    mini.write_mini(tmp_path, silent)
    folder = tmp_path / MINI.folder
    first = (folder / "manifest.json").read_bytes()
    sizes = lm.find_sizes(MINI, DataRequest(data_dir=tmp_path))
    assert sizes == {"train": 10_000, "eval_train": 400, "validation": 400, "test": 0}
    text = json.loads((folder / "raw" / "texts.jsonl").read_text().splitlines()[0])["text"]
    vocabulary = json.loads((folder / "raw" / "vocab.json").read_text())
    assert (
        len(vocabulary) == MINI.n_vocab == find_workload("finewebedu_lm_mini").model_config.n_vocab
    )
    # Every word is one token: the last 101 are words and the end.
    tokens = np.load(folder / "train-00000.npy")
    assert tokens.min() >= MINI.n_vocab - 101 and len(text) % 3 == 0
    (folder / "manifest.json").unlink()
    mini.write_mini(tmp_path, partial(silent))
    assert (folder / "manifest.json").read_bytes() == first
