"""wmt's sources: what batches hold, from prepared files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pacebench.data import TrainBatches, eval_batches, fixed_subset
from pacebench.errors import DataError
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, Source
from tests.workloads.test_wmt_packing import slow_rows
from tests.workloads.wmt_raw import TINY as SHORT
from tests.workloads.wmt_raw import quiet, sentences_of, write_archives
from workloads.wmt.data import open_sources
from workloads.wmt.metric import open_metric
from workloads.wmt.prepare import prepare

TINY = replace(SHORT, max_length=100)  # room for four pairs or so
NO_SEEDS = np.zeros(0, np.uint64)
SIDES = ("inputs", "targets")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wmt")
    os_sync, os.sync = os.sync, lambda: None
    prepare(TINY, write_archives(folder / "raw"), folder / "data", quiet)
    os.sync = os_sync
    return folder / "data"


@pytest.fixture(scope="module")
def sources(data: Path) -> dict[str, Source]:
    return open_sources(TINY, DataRequest(data_dir=data))


def pairs_of(data: Path, split: str) -> list[tuple[list[int], list[int]]]:
    sides = [sentences_of(data / "wmt", split, side) for side in SIDES]
    return list(zip(*sides, strict=True))


def test_training_rows_are_packed_as_stated(data: Path, sources: dict[str, Source]) -> None:
    wanted = slow_rows(pairs_of(data, "train"), TINY.max_length)
    source = sources["train"]
    assert source.size == len(wanted) < 50
    batch = source.read(np.arange(source.size), NO_SEEDS)
    weights = batch.pop("weights")
    assert weights.dtype == np.float32
    assert np.array_equal(weights, (batch["targets"] > 0).astype(np.float32))
    assert batch.keys() == wanted[0].keys()
    for name, array in batch.items():
        assert array.dtype == np.int32
        assert array.tolist() == [row[name] for row in wanted], name


def test_evaluation_rows_hold_a_whole_pair_each(data: Path, sources: dict[str, Source]) -> None:
    for split, name in (("validation", "validation"), ("test", "test"), ("eval_train", "train")):
        pairs = pairs_of(data, name)
        chosen = fixed_subset(len(pairs), TINY.n_eval_train) if split == "eval_train" else None
        pairs = pairs if chosen is None else [pairs[i] for i in chosen]
        source = sources[split]
        assert source.size == len(pairs)
        batch = source.read(np.arange(source.size), NO_SEEDS)
        assert batch.keys() == {*SIDES, "weights", "references"}
        for i, side in enumerate(SIDES):
            rows = [p[i] + [0] * (TINY.max_length - len(p[i])) for p in pairs]
            assert batch[side].tolist() == rows
        texts = (data / "wmt" / f"{name}.references.txt").read_text(encoding="utf-8").splitlines()
        found = [row.tobytes().rstrip(b"\0").decode() for row in batch["references"]]
        assert found == texts


def test_batches_of_all_splits_have_one_shape(sources: dict[str, Source]) -> None:
    shapes = [
        {name: array.shape for name, array in next(eval_batches(sources[split], 4, 0, 1)).items()}
        for split in ("eval_train", "validation", "test")
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0]["inputs"] == shapes[0]["weights"] == (4, TINY.max_length)


def test_an_epoch_holds_every_pair_once(data: Path, sources: dict[str, Source]) -> None:
    source = sources["train"]
    batches = TrainBatches(source, seed=Seed(3), batch_size=1)
    found = []
    for _ in range(source.size):
        row = next(batches)
        for segment in range(1, int(row["targets_segmentation"].max()) + 1):
            found.append(row["targets"][row["targets_segmentation"] == segment].tolist())
    known = [[token for token in pair[1] if token] for pair in pairs_of(data, "train")]
    assert sorted(found) == sorted(known)


def test_the_metric_reads_the_tokenizer_of_the_data(data: Path) -> None:
    metric = open_metric(TINY, DataRequest(data_dir=data))
    pairs = pairs_of(data, "test")
    texts = (data / "wmt" / "test.references.txt").read_text(encoding="utf-8").splitlines()
    assert metric.tokenizer.decode([pair[1] for pair in pairs]) == texts


def test_data_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    wmt = find_workload("wmt")
    for request, message in (
        (DataRequest(), "wmt needs --data-dir DIR; workloads/wmt/README.md says how to get it"),
        (DataRequest(data_dir=tmp_path), "wmt: no .*/wmt/manifest.json; workloads/wmt/README.md"),
    ):
        for opener in (wmt.find_sizes, wmt.open_sources, wmt.open_metric):
            assert opener is not None
            with pytest.raises(DataError, match=message):
                opener(request)


def test_less_than_published_must_be_allowed(data: Path) -> None:
    larger = replace(TINY, sizes={**TINY.sizes, "test": 3003})
    with pytest.raises(DataError, match=r"test in .* has 5 pairs of the 3,003 published"):
        open_sources(larger, DataRequest(data_dir=data))
    assert open_sources(larger, DataRequest(data_dir=data, allow_partial=True))["test"].size == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.replace("{", "", 1), "manifest.json is damaged"),
        (lambda m: m.replace('"format": 1', '"format": 99'), "format 99, not 1"),
        (lambda m: m.replace('"counts"', '"other"'), "entries are missing"),
        (lambda m: json.dumps({**json.loads(m), "files": {"x": [1, 2]}}), "x is missing; prepare"),
    ],
)
def test_a_damaged_manifest_is_named(change: object, message: str, data: Path) -> None:
    assert callable(change)
    path = data / "wmt" / "manifest.json"
    whole = path.read_text(encoding="utf-8")
    try:
        path.write_text(change(whole), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            open_sources(TINY, DataRequest(data_dir=data))
    finally:
        path.write_text(whole, encoding="utf-8")


def test_importing_the_workload_loads_no_tokenizer() -> None:
    import subprocess
    import sys

    code = (
        "import sys, workloads.wmt\n"
        "print(sorted({'sentencepiece', 'torch', 'jax', 'tarfile'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
