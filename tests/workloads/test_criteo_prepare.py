"""Click logs are prepared: what is written, what is kept, how an interrupted run goes on."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.manifests import crc_of
from pacebench.spec import DataRequest
from tests.support import REPOSITORY
from tests.workloads.criteo_raw import LOG, N_LINES, bytes_of, days, examples, quiet, write_days
from workloads.criteo import raw as raw_files
from workloads.criteo.clicks import CRITEO
from workloads.criteo.data import open_sources
from workloads.criteo.files import find_sizes
from workloads.criteo.prepare import needed_bytes, prepare

REAL = REPOSITORY.parent / "shared" / "data" / "criteo"
SHARDS = [f"day_0_0{i}" for i in range(3)] + [f"day_1_0{i}" for i in range(3)]
SHARDS += [f"day_2_0{i}" for i in range(3)]


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the real disk out of it (seconds, on a busy one), and give what was forced to it."""
    calls: list[str] = []

    def sync_one(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)

    monkeypatch.setattr(os, "fsync", sync_one)
    return calls


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_days(tmp_path / "raw")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What preparing the whole log writes."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(LOG, write_days(folder / "raw"), folder, quiet, n_processes=1)
    return bytes_of(folder / "clicks")


def shards_of(folder: Path) -> dict[str, bytes]:
    return {k: v for k, v in bytes_of(folder).items() if k.endswith(".rows")}


def check(data: Path, prepared: dict[str, bytes]) -> None:
    """Check that all is there; notes name the raw files, so only shards are compared."""
    wanted = {k: v for k, v in prepared.items() if k.endswith(".rows")}
    assert shards_of(data / "clicks") == wanted
    names = {p.name for p in (data / "clicks").iterdir()}
    assert names == {*prepared, ".prepare"}


def test_days_are_cut_into_shards_with_notes(prepared: dict[str, bytes]) -> None:
    assert sorted(prepared) == sorted(f"{n}{s}" for n in SHARDS for s in (".rows", ".json"))
    sizes = [len(prepared[f"{name}.rows"]) // 113 for name in SHARDS]
    assert sizes == [50, 50, 20, 50, 50, 10, 50, 50, 30]


def test_a_shard_holds_columns_one_behind_the_other(prepared: dict[str, bytes]) -> None:
    inputs, targets = examples(days()[0])
    shard = prepared["day_0_02.rows"]  # 20 rows
    numbers = np.frombuffer(shard[: 13 * 20 * 4], "<f4").reshape(13, 20)
    np.testing.assert_allclose(numbers.T, inputs[100:, :13], rtol=3e-7)
    first = np.frombuffer(shard[13 * 20 * 4 :][: 20 * 4], "<u4")  # column 0 has 39,884,406 buckets
    assert np.array_equal(first.astype(np.float32), inputs[100:, 13])
    last = np.frombuffer(shard[-40:-20], np.uint8)  # column 25 has 36
    assert np.array_equal(last, inputs[100:, 38])
    assert np.array_equal(np.frombuffer(shard[-20:], np.uint8), targets[100:, 0])


def test_a_shard_is_on_the_disk_before_it_has_its_name(
    raw: Path, data: Path, forced: list[str]
) -> None:
    prepare(LOG, raw, data, quiet, n_processes=1)
    assert forced == [f"{name}.part" for name in SHARDS]


@pytest.mark.parametrize("kind", ["packed days", "files", "packed files"])
def test_packed_days_and_algoperfs_files_give_the_same_shards(
    kind: str, tmp_path: Path, data: Path, prepared: dict[str, bytes]
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for day, text in days().items():
        if kind == "packed days":
            (folder / f"day_{day}.gz").write_bytes(gzip.compress(text, 1))
            continue
        lines = text.splitlines(keepends=True)
        for part in range(0, len(lines), 50):
            piece, name = b"".join(lines[part : part + 50]), f"day_{day}_{part // 50:02d}"
            if kind == "files":
                (folder / name).write_bytes(piece)
            else:
                (folder / f"{name}.gz").write_bytes(gzip.compress(piece, 1))
    prepare(LOG, folder, data, quiet, n_processes=1)
    check(data, prepared)


def test_several_processes_write_the_same(
    raw: Path, data: Path, prepared: dict[str, bytes]
) -> None:
    told: list[tuple[int, int]] = []
    prepare(LOG, raw, data, lambda _w, done, total: told.append((done, total)), n_processes=2)
    check(data, prepared)
    total = sum(map(len, days().values()))
    assert told[-1] == (total, total)


def test_blocks_may_end_anywhere(
    raw: Path, data: Path, prepared: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_files.read_blocks, "__defaults__", (150,))  # less than a line
    prepare(LOG, raw, data, quiet, n_processes=1)
    check(data, prepared)


def test_the_last_line_may_lack_its_end(raw: Path, data: Path, prepared: dict[str, bytes]) -> None:
    for path in raw.iterdir():
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
    prepare(LOG, raw, data, quiet, n_processes=1)
    check(data, prepared)


def test_given_again_nothing_is_written(raw: Path, data: Path) -> None:
    prepare(LOG, raw, data, quiet, n_processes=1)
    before = {p: p.stat().st_mtime_ns for p in (data / "clicks").iterdir() if p.name != ".prepare"}
    assert needed_bytes(LOG, raw, data) == 0
    prepare(LOG, raw, data, quiet, n_processes=1)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert {p for p in (data / "clicks").iterdir() if p.name != ".prepare"} == set(before)


def test_an_interrupted_run_goes_on_with_the_first_shard_that_is_missing(
    raw: Path, data: Path, prepared: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def kill(_what: str, done: int, _total: int) -> None:
        if done > len(days()[0]) * 1.6:  # in the second day
            raise KilledError

    monkeypatch.setattr(raw_files.read_blocks, "__defaults__", (500,))
    with pytest.raises(KilledError):
        prepare(LOG, raw, data, kill, n_processes=1)
    there = {p.name: p.stat().st_mtime_ns for p in (data / "clicks").glob("*.rows")}
    assert set(there) == {f"{name}.rows" for name in SHARDS[:4]}
    assert not list((data / "clicks").glob("*.part"))
    # What is left: 60 rows of day 1 and 130 of day 2, and a line more of each for the estimate.
    assert 113 * 190 <= needed_bytes(LOG, raw, data) <= 113 * 192
    prepare(LOG, raw, data, quiet, n_processes=1)
    check(data, prepared)
    after = {p.name: p.stat().st_mtime_ns for p in (data / "clicks").glob("*.rows")}
    assert {name: after[name] for name in there} == there


def test_days_may_be_prepared_one_after_the_other(
    raw: Path, data: Path, prepared: dict[str, bytes], tmp_path: Path
) -> None:
    for day in N_LINES:
        folder = tmp_path / f"only {day}"
        folder.mkdir()
        shutil.move(raw / f"day_{day}", folder)
        prepare(LOG, folder, data, quiet, n_processes=1)
        shutil.rmtree(folder)
    check(data, prepared)
    assert find_sizes(LOG, DataRequest(data_dir=data)) == dict(LOG.sizes)


def test_a_damaged_or_cut_shard_is_written_again(
    raw: Path, data: Path, prepared: dict[str, bytes]
) -> None:
    prepare(LOG, raw, data, quiet, n_processes=1)
    damaged, cut = data / "clicks" / "day_0_01.rows", data / "clicks" / "day_2_02.rows"
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"day_2_02.rows has 3,389 bytes, not the 3,390 of its 30"):
        find_sizes(LOG, DataRequest(data_dir=data))
    prepare(LOG, raw, data, quiet, n_processes=1)
    check(data, prepared)


def test_a_day_that_changed_is_prepared_anew_and_leaves_nothing_of_the_old(
    raw: Path, data: Path
) -> None:
    prepare(LOG, raw, data, quiet, n_processes=1)
    text = b"".join(days()[1].splitlines(keepends=True)[:50])
    (raw / "day_1").write_bytes(text)
    prepare(LOG, raw, data, quiet, n_processes=1)
    assert len(list((data / "clicks").glob("day_1_*.rows"))) == 1
    note = json.loads((data / "clicks" / "day_1_00.json").read_text())
    assert note["is_last"] is True
    assert note["crc32"] == crc_of(data / "clicks" / "day_1_00.rows")
    assert needed_bytes(LOG, raw, data) == 0


def test_disk_needed_is_estimated_from_the_first_lines(
    raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 113 * 360 <= needed_bytes(LOG, raw, data) <= 113 * 363
    monkeypatch.setattr(raw_files, "_SAMPLE_BYTES", 3000)
    assert needed_bytes(LOG, raw, data) == pytest.approx(113 * 360, rel=0.15)


def test_a_truncated_or_damaged_archive_is_named(raw: Path, data: Path) -> None:
    packed = gzip.compress(days()[0], 1)
    (raw / "day_0").unlink()
    for wrong, error in (
        (packed[:-2000], r"raw/day_0\.gz ends in the middle of its data: download it again"),
        (packed[:500] + b"abc" + packed[503:], r"raw/day_0\.gz is damaged"),
        (b"no archive" + packed, r"raw/day_0\.gz is damaged"),
    ):
        (raw / "day_0.gz").write_bytes(wrong)
        with pytest.raises(DataError, match=error):
            prepare(LOG, raw, data, quiet, n_processes=1)
        assert not list((data / "clicks").glob("*.part"))


@pytest.mark.parametrize("n_processes", [1, 2])
def test_a_bad_line_is_named_with_its_place_in_the_file(
    raw: Path, data: Path, n_processes: int
) -> None:
    lines = (raw / "day_1").read_bytes().splitlines(keepends=True)
    lines[76] = lines[76].replace(b"\t", b" ", 1)
    (raw / "day_1").write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=r"raw/day_1, line 77: 39 fields"):
        prepare(LOG, raw, data, quiet, n_processes=n_processes)


def test_what_is_no_log_or_is_there_twice_is_named(raw: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no day_<d>\.gz, day_<d> or day_<d>_<NN>"):
        prepare(LOG, tmp_path, data, quiet)
    (raw / "day_0_00").write_bytes(b"")
    with pytest.raises(DataError, match=r"day_0_00 holds the same as day_0"):
        prepare(LOG, raw, data, quiet)
    (raw / "day_0_00").unlink()
    (raw / "day_3").write_bytes(b"")
    with pytest.raises(DataError, match=r"day_3: clicks has days 0 to 2"):
        prepare(LOG, raw, data, quiet)
    (raw / "day_3").unlink()
    (raw / "day_0").write_bytes(b"")
    with pytest.raises(DataError, match="day_0 is empty"):
        prepare(LOG, raw, data, quiet, n_processes=1)


def test_real_lines_in_the_real_layout_become_the_sources_of_the_full_workload(
    tmp_path: Path,
) -> None:
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not there: real data are kept beside the repo")
    folder = tmp_path / "raw"
    folder.mkdir()
    (text,) = (path.read_bytes() for path in REAL.glob("guestwalk_tiny/*.tsv"))
    lines = text.splitlines(keepends=True)
    (folder / "day_0.gz").write_bytes(gzip.compress(b"".join(lines[:800])))
    (folder / "day_23_00").write_bytes(b"".join(lines[800:900]))
    (folder / "day_23_19").write_bytes(b"".join(lines[900:]))
    prepare(CRITEO, folder, tmp_path, quiet, n_processes=1)
    request = DataRequest(data_dir=tmp_path, allow_partial=True)
    sizes = {"train": 800, "eval_train": 800, "validation": 100, "test": 100}
    assert find_sizes(CRITEO, request) == sizes
    sources = open_sources(CRITEO, request)
    for split, start, stop in (("train", 0, 800), ("test", 800, 900), ("validation", 900, 1000)):
        n = sources[split].size
        batch = sources[split].read(np.arange(n), np.zeros(n, np.uint64))
        inputs, targets = examples(b"".join(lines[start:stop]))
        np.testing.assert_allclose(batch["inputs"], inputs, rtol=3e-7)
        assert np.array_equal(batch["targets"], targets)
