"""Click logs as sources: rows, the order of an epoch, sizes, and the generated log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pacebench.data import TrainBatches, eval_batches
from pacebench.errors import DataError
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import Batch, DataRequest, LossValue, Source
from tests.workloads.criteo_raw import LOG, bytes_of, days, examples, quiet, write_days
from workloads.criteo import shards
from workloads.criteo.clicks import CLICKS, CRITEO
from workloads.criteo.data import ClickSource, FileOrder, epoch_order, open_sources
from workloads.criteo.files import find_sizes
from workloads.criteo.metric import MeanLoss
from workloads.criteo.mini import write_log
from workloads.criteo.planted import draw, lines_of, plant
from workloads.criteo.prepare import prepare

SMALL = replace(
    CLICKS,
    n_file_lines=100,
    sizes={"train": 800, "eval_train": 300, "validation": 200, "test": 200},
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared log, in groups of 16 rows."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        small_groups(patch)
        prepare(LOG, write_days(folder / "raw"), folder, quiet, n_processes=1)
    return folder


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    small_groups(monkeypatch)


def small_groups(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shards, "GROUP_ROWS", 16)
    patch.setattr(shards, "GROUP_BYTES", 16 * 113)


@pytest.fixture
def sources(data: Path) -> dict[str, Source]:
    return open_sources(LOG, DataRequest(data_dir=data))


def rows_of(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Give what a split holds, in the order of the days, by the slow reference."""
    by_day = days()
    last = by_day[2].splitlines(keepends=True)
    text = {"train": by_day[0] + by_day[1], "test": b"".join(last[:100])}
    return examples(text.get(split, b"".join(last[100:])))


def read(source: Source, indices: list[int] | np.ndarray) -> Batch:
    indices_B = np.asarray(indices)
    return source.read(indices_B, np.zeros(len(indices_B), np.uint64))


def check(batch: Batch, inputs: np.ndarray, targets: np.ndarray) -> None:
    assert batch["inputs"].dtype == batch["targets"].dtype == np.float32
    np.testing.assert_allclose(batch["inputs"][:, :13], inputs[:, :13], rtol=3e-7)
    assert np.array_equal(batch["inputs"][:, 13:], inputs[:, 13:])
    assert np.array_equal(batch["targets"], targets)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_holds_the_lines_of_its_files_in_order(
    sources: dict[str, Source], split: str
) -> None:
    inputs, targets = rows_of(split)
    assert sources[split].size == len(inputs) == LOG.sizes[split]
    check(read(sources[split], np.arange(len(inputs))), inputs, targets)


def test_rows_are_the_same_however_they_are_asked_for(sources: dict[str, Source]) -> None:
    inputs, targets = rows_of("train")
    rng = np.random.default_rng(0)
    for indices in (
        [229],
        [100, 101, 119, 120, 121],  # over the border of days
        [200, 201, 5, 6, 7],
        [7] * 50,
        [48, 49, 50, 51, *[48] * 60],  # a last batch with its padding
        rng.permutation(230),
        rng.integers(0, 230, 500),
    ):
        check(read(sources["train"], indices), inputs[indices], targets[indices])


def test_ids_are_float32_and_so_rounded_above_two_to_the_24(sources: dict[str, Source]) -> None:
    ids = read(sources["train"], np.arange(230))["inputs"][:, 13:]
    assert ids.max() > 2**24
    assert np.all(ids[ids > 2**25] % 4 == 0)
    assert np.all(ids[ids > 2**24] % 2 == 0)


def test_an_epoch_goes_through_whole_files_in_an_order_of_its_own(
    sources: dict[str, Source],
) -> None:
    files = [range(0, 50), range(50, 100), range(100, 120)]  # of day 0
    files += [range(120, 170), range(170, 220), range(220, 230)]
    seen = set()
    for seed in range(20):
        order = epoch_order(sources["train"], seed)
        places = order[0:230]
        assert sorted(places.tolist()) == list(range(230))
        starts = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist()]
        assert {int(places[start]) for start in starts} <= {file.start for file in files}
        assert order[37:90].tolist() == places[37:90].tolist()
        assert order[225:260].tolist() == places[225:].tolist()
        assert order[240:260].tolist() == []
        seen.add(tuple(places[starts].tolist()))
    assert len(seen) > 15


def test_an_order_of_billions_of_rows_is_small() -> None:
    source = object.__new__(ClickSource)
    source.starts = np.arange(0, 850 * 5_000_000, 5_000_000)
    order = FileOrder(source, 0)
    held = [value for value in vars(order).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in held) < 850 * 8 * 4
    places = order[4_000_000_000:4_000_262_144]
    assert len(places) == 262_144
    assert np.count_nonzero(np.diff(places) != 1) <= 1


def test_training_batches_follow_the_files_and_every_epoch_has_another_order(
    sources: dict[str, Source],
) -> None:
    workload = find_workload("criteo1tb_mini")
    batches = TrainBatches(
        sources["train"], seed=Seed(1), batch_size=46, epoch_order=workload.epoch_order
    )
    inputs, _ = rows_of("train")
    place = {row.tobytes(): i for i, row in enumerate(inputs[:, 13:])}
    assert len(place) == 230
    found = [
        [place[row[13:].tobytes()] for _ in range(5) for row in next(batches)["inputs"]]
        for _ in range(2)
    ]
    for epoch in found:
        assert sorted(epoch) == list(range(230))
        assert np.count_nonzero(np.diff(epoch) != 1) <= 5
    assert found[0] != found[1]


def test_training_is_measured_on_the_first_rows_of_one_order(sources: dict[str, Source]) -> None:
    inputs, targets = rows_of("train")
    places = epoch_order(sources["train"], 0)[0:60]
    assert sources["eval_train"].size == 60
    first, second = eval_batches(sources["eval_train"], 40, rank=0, n_ranks=1)
    check(first, inputs[places[:40]], targets[places[:40]])
    padded = [*places[40:], *[places[40]] * 20]
    check(second, inputs[padded], targets[padded])
    assert second["weights"].tolist() == [1] * 20 + [0] * 20


def test_a_log_that_is_not_whole_is_refused_or_shown(tmp_path: Path) -> None:
    request = DataRequest(data_dir=tmp_path)
    with pytest.raises(DataError, match=r"needs --data-dir DIR, with its rows in DIR/clicks"):
        find_sizes(LOG, DataRequest())
    with pytest.raises(DataError, match=r"no day_\*\.rows in .*/clicks; write it"):
        find_sizes(LOG, request)
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "day_0").write_bytes(days()[0])
    (folder / "day_2").write_bytes(b"".join(days()[2].splitlines(keepends=True)[:70]))
    prepare(LOG, folder, tmp_path, quiet, n_processes=1)
    with pytest.raises(DataError, match=r"train has 120 of the 230 published rows \(--allow"):
        find_sizes(LOG, request)
    partial = DataRequest(data_dir=tmp_path, allow_partial=True)
    wanted = {"train": 120, "validation": 70, "test": 70, "eval_train": 60}
    assert find_sizes(LOG, partial) == wanted
    (tmp_path / "clicks" / "day_3_00.rows").write_bytes(b"")
    with pytest.raises(DataError, match=r"day_3_00\.rows: clicks has no day 3"):
        find_sizes(LOG, partial)
    (tmp_path / "clicks" / "day_3_00.rows").unlink()
    (tmp_path / "clicks" / "day_0_00.json").write_text("{")
    with pytest.raises(DataError, match=r"day_0_00\.json is damaged"):
        find_sizes(LOG, partial)


def test_training_needs_a_source_of_files() -> None:
    with pytest.raises(TypeError, match="not of object"):
        epoch_order(object(), 0)  # type: ignore[arg-type]


def test_sizes_are_algoperfs() -> None:
    """Section 0 and 3 of facts_text_graph_ctr.md; eval_train as in jax."""
    sizes = find_workload("criteo1tb").sizes
    assert sizes == CRITEO.sizes
    assert sizes["train"] == 4_195_197_692
    assert sizes["eval_train"] == -(-83_274_637 // 131_072) * 131_072 == 83_361_792
    assert (sizes["validation"], sizes["test"]) == (83_274_637, 95_000_000)
    assert sizes["test"] == 19 * CRITEO.n_file_lines
    splits = [CRITEO.split_of(day, part) for day, part in ((22, 99), (23, 0), (23, 18), (23, 19))]
    assert splits == ["train", "test", "test", "validation"]


def test_the_metric_is_the_mean_loss_of_what_is_no_padding() -> None:
    metric = MeanLoss()
    losses = np.array([[0.5], [2.0], [9.0], [0.25]], np.float32)
    parts = []
    for rows, weights in (([0, 1], [1, 1]), ([3, 2], [1, 0])):
        value = LossValue(summed=None, n_valid_examples=None, per_example=losses[rows])
        batch = {"weights": np.array(weights, np.float32)}
        parts.append(metric.update(None, value, batch))
    assert metric.finish(metric.merge(*parts), 3) == {"loss": 2.75 / 3}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    write_log(SMALL, folder, quiet)
    return folder


def test_the_generated_log_is_whole_and_the_same_every_time(
    generated: Path, tmp_path: Path
) -> None:
    assert find_sizes(SMALL, DataRequest(data_dir=generated)) == dict(SMALL.sizes)
    write_log(SMALL, tmp_path, quiet)
    raw = [bytes_of(folder / SMALL.folder / "raw") for folder in (generated, tmp_path)]
    assert raw[0] == raw[1]
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / SMALL.folder).glob("day*")}
    write_log(SMALL, tmp_path, quiet)
    assert {p: p.stat().st_mtime_ns for p in written} == written


def test_generated_lines_have_empty_and_negative_fields_and_few_categories() -> None:
    planted = plant(7)
    text = lines_of(planted, draw(planted, 500, np.random.default_rng(0)))
    columns = list(zip(*(line.split(b"\t") for line in text.splitlines()), strict=True))
    assert len(columns) == 40
    assert b"" in columns[1]
    assert b"-2" in columns[2]
    assert b"" not in columns[2]
    assert any(b"" in column for column in columns[14:])
    assert all(len(set(column)) <= 40 for column in columns[14:])
    inputs, _ = examples(text)
    assert inputs.shape == (500, 39)


def test_the_best_loss_is_that_of_the_planted_probabilities() -> None:
    planted = plant(7)
    rows = draw(planted, 40_000, np.random.default_rng(0))
    p, y = rows.probabilities_N, rows.labels_N
    measured = -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()
    # The deviation of one row's loss is below 1, so 0.02 is 4 deviations of the mean.
    assert rows.best_loss() == pytest.approx(measured, abs=0.02)
    share = y.mean()
    prior = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert rows.best_loss() < 0.65 * prior
