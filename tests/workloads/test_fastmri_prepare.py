"""fastMRI is prepared: what is written, what is kept, and how an interrupted run goes on."""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from tests.support import REPOSITORY
from tests.workloads.fastmri_files import TRAIN, VALIDATION, tar_of, write_volume
from workloads.fastmri import data, find_sizes
from workloads.fastmri.prepare import needed_bytes, prepare
from workloads.fastmri.scans import KNEES

REAL = REPOSITORY.parent / "shared" / "data" / "fastmri"
SMALL = replace(KNEES, n_side=16)
SIZE = {"n_side": 16, "width": 20}
FILES = {TRAIN: ("a.h5", "b.h5", "c.h5"), VALIDATION: ("d.h5", "e.h5")}


class Killed(Exception):  # noqa: N818 (no error of ours)
    """Stands for the death of the process."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take small images for whole ones, and keep the real disk, which may be busy, out of it."""
    monkeypatch.setattr("workloads.fastmri.prepare.KNEES", SMALL)
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw download, unpacked: volumes of one slice."""
    folder = tmp_path_factory.mktemp("unpacked")
    for seed, (name, files) in enumerate(FILES.items()):
        for i, file in enumerate(files):
            write_volume(folder / name / file, seed=10 * seed + i, **SIZE)
    return folder


@pytest.fixture(scope="module")
def packed(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw download as archives, one compressed; the archives' own folders have short names."""
    folder = tmp_path_factory.mktemp("packed")
    tar_of(unpacked / TRAIN, folder / f"{TRAIN}.tar", "./singlecoil_train")
    tar_of(unpacked / VALIDATION, folder / f"{VALIDATION}.tar.xz", "singlecoil_val")
    return folder


def quiet(what: str, done: int, total: int) -> None:
    """Report nothing."""


def written(data_dir: Path) -> dict[str, tuple[bytes, int]]:
    """Give the contents and times of the prepared volumes."""
    return {
        p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (data_dir / "fastmri").rglob("*.h5")
    }


def check(data_dir: Path, unpacked: Path) -> None:
    """Check everything that was written against the raw volumes."""
    request = DataRequest(data_dir=data_dir, allow_partial=True)
    raw = DataRequest(data_dir=unpacked, allow_partial=True)
    assert find_sizes(SMALL, request) == find_sizes(SMALL, raw)
    left, right = (data.open_sources(SMALL, r)["train"] for r in (request, raw))
    seeds = np.arange(3, dtype=np.uint64)
    found, wanted = (source.read(np.arange(3), seeds) for source in (left, right))
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    for folder, files in FILES.items():
        lines = (data_dir / "fastmri" / f"{folder}.tsv").read_text().splitlines()
        assert [line.split("\t")[0] for line in lines] == list(files)
        for line in lines:
            name, n_slices, n_bytes, crc = line.split("\t")
            content = (data_dir / "fastmri" / folder / name).read_bytes()
            assert (n_slices, int(n_bytes)) == ("1", len(content))
            assert int(crc, 16) == zlib.crc32(content)
    left_over = {p.name for p in (data_dir / "fastmri" / ".prepare").iterdir()}
    assert left_over == {"lock", f"{TRAIN}.journal", f"{VALIDATION}.journal"}


def test_archives_and_folders_become_the_same_volumes(
    packed: Path, unpacked: Path, tmp_path: Path
) -> None:
    for raw in (packed, unpacked):
        prepare(raw, tmp_path / raw.name, quiet)
        check(tmp_path / raw.name, unpacked)
    first, second = (written(tmp_path / raw.name) for raw in (packed, unpacked))
    assert {n: c for n, (c, _) in first.items()} == {n: c for n, (c, _) in second.items()}
    with h5py.File(tmp_path / packed.name / "fastmri" / TRAIN / "b.h5") as file:
        assert set(file) == {"hybrid_kspace", "reconstruction_esc"}
        assert file["hybrid_kspace"].shape == (1, 16, 20) and file.attrs["max"] == 2.0


def test_what_is_finished_is_not_written_again_and_needs_no_raw_files(
    unpacked: Path, tmp_path: Path
) -> None:
    assert needed_bytes(unpacked, tmp_path) == 5 * 16 * (20 * 8 + 16 * 4)
    prepare(unpacked, tmp_path, quiet)
    before = written(tmp_path)
    assert needed_bytes(unpacked, tmp_path) == 0
    prepare(unpacked, tmp_path, quiet)
    prepare(tmp_path, tmp_path, quiet)  # a folder without raw files
    assert written(tmp_path) == before


@pytest.mark.parametrize("raw_name", ["packed", "unpacked"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_an_interrupted_run_goes_on(
    n: int, raw_name: str, unpacked: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    raw: Path = request.getfixturevalue(raw_name)
    calls = iter(range(1, 100))

    def die(what: str, done: int, total: int) -> None:
        if next(calls) == n:
            raise Killed

    with pytest.raises(Killed):
        prepare(raw, tmp_path, die)
    before = written(tmp_path)
    assert len(before) < n
    with pytest.raises(DataError, match="was interrupted there; give the same command again"):
        find_sizes(SMALL, DataRequest(data_dir=tmp_path))
    prepare(raw, tmp_path, quiet)
    check(tmp_path, unpacked)
    after = written(tmp_path)
    assert {name: after[name] for name in before} == before


def test_a_volume_that_was_lost_or_cut_is_said_and_written_again(
    unpacked: Path, tmp_path: Path
) -> None:
    prepare(unpacked, tmp_path, quiet)
    before = written(tmp_path)
    cut = tmp_path / "fastmri" / TRAIN / "b.h5"
    cut.write_bytes(cut.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{cut} has .* bytes; it was prepared with .* again"):
        find_sizes(SMALL, DataRequest(data_dir=tmp_path))
    prepare(unpacked, tmp_path, quiet)
    after = written(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"b.h5"}
    assert after["b.h5"][0] == before["b.h5"][0]


def test_raw_data_that_changed_is_prepared_anew(unpacked: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("a.h5", "b.h5"):
        write_volume(raw / TRAIN / name, **SIZE)
    write_volume(raw / VALIDATION / "d.h5", **SIZE)
    prepare(raw, tmp_path / "data", quiet)
    (raw / TRAIN / "b.h5").rename(raw / TRAIN / "z.h5")
    write_volume(raw / TRAIN / "a.h5", seed=5, n_slices=2, **SIZE)
    prepare(raw, tmp_path / "data", quiet)
    assert set(written(tmp_path / "data")) == {"a.h5", "z.h5", "d.h5"}
    sizes = find_sizes(SMALL, DataRequest(data_dir=tmp_path / "data", allow_partial=True))
    assert sizes["train"] == 3


def test_a_cut_archive_is_named_and_what_was_written_is_kept(
    packed: Path, unpacked: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in packed.iterdir():
        (raw / path.name).write_bytes(path.read_bytes())
    whole = (packed / f"{TRAIN}.tar").read_bytes()
    (raw / f"{TRAIN}.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"{TRAIN}\.tar is cut off or damaged"):
        prepare(raw, tmp_path / "data", quiet)
    whole_xz = (packed / f"{VALIDATION}.tar.xz").read_bytes()
    (raw / f"{TRAIN}.tar").write_bytes(whole)
    (raw / f"{VALIDATION}.tar.xz").write_bytes(whole_xz[: len(whole_xz) // 3])
    with pytest.raises(DataError, match=rf"{VALIDATION}\.tar\.xz is cut off or damaged"):
        prepare(raw, tmp_path / "data", quiet)
    kept = written(tmp_path / "data")
    assert set(FILES[TRAIN]) <= set(kept)
    (raw / f"{VALIDATION}.tar.xz").write_bytes(whole_xz)
    prepare(raw, tmp_path / "data", quiet)
    check(tmp_path / "data", unpacked)
    assert {n: written(tmp_path / "data")[n] for n in kept} == kept


def test_a_raw_volume_that_is_none_is_named_by_its_archive(tmp_path: Path) -> None:
    write_volume(tmp_path / TRAIN / "a.h5", kspace=None, **SIZE)
    write_volume(tmp_path / VALIDATION / "d.h5", **SIZE)
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in (TRAIN, VALIDATION):
        tar_of(tmp_path / name, raw / f"{name}.tar", name)
    where = rf"{TRAIN}\.tar: {TRAIN}/a\.h5: it has no dataset 'kspace'"
    with pytest.raises(DataError, match=where):
        prepare(raw, tmp_path / "data", quiet)


def test_missing_or_wrong_raw_files_are_said(unpacked: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"lacks {TRAIN}, .*{TRAIN}\.tar\.xz.*lacks {VALIDATION}"):
        needed_bytes(tmp_path, tmp_path)
    (tmp_path / "fastmri").symlink_to(unpacked)
    with pytest.raises(DataError, match="is where prepared volumes go"):
        prepare(unpacked, tmp_path, quiet)


def test_the_real_volumes_are_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.fastmri.prepare.KNEES", KNEES)
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not there: real volumes are kept beside the repository")
    prepare(REAL, tmp_path, quiet)
    request = DataRequest(data_dir=tmp_path, allow_partial=True)
    assert find_sizes(KNEES, request) == {"train": 4, "eval_train": 4, "validation": 2, "test": 2}
    found, wanted = (
        data.open_sources(KNEES, DataRequest(data_dir=d, allow_partial=True))["validation"]
        for d in (tmp_path, REAL.parent)
    )
    everything = np.arange(2), np.zeros(2, np.uint64)
    left, right = found.read(*everything), wanted.read(*everything)
    assert all(np.array_equal(left[name], right[name]) for name in right)
    # Real scans: a fully sampled middle already looks like the target.
    assert np.corrcoef(left["inputs"].ravel(), left["targets"].ravel())[0, 1] > 0.9
