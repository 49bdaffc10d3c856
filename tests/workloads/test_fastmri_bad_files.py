"""fastmri: what is said about files that are not right; and MINI's generated files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from tests.workloads.fastmri_files import (
    TRAIN,
    VALIDATION,
    sources_of,
    write_folders,
    write_volume,
)
from workloads.fastmri import data
from workloads.fastmri.files import find_sizes
from workloads.fastmri.mini import write_mini
from workloads.fastmri.reconstruction import reconstruct
from workloads.fastmri.scans import KNEES, PHANTOMS
from workloads.fastmri.volumes import read_slice, read_volume


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return write_folders(tmp_path)


BREAKS: list[tuple[dict[str, Any], str]] = [
    ({"kspace": None}, r"it has no dataset 'kspace' \(it has reconstruction_esc\)"),
    ({"reconstruction_esc": None}, "it has no dataset 'reconstruction_esc'"),
    ({"width": 21}, "kspace has 32 rows and 21 columns; both are even and at least 16"),
    ({"width": 14}, "kspace has 32 rows and 14 columns; both are even and at least 16"),
    ({"kspace": np.zeros((2, 32, 20), np.float32)}, "kspace is float32 with 3 axes, not complex64"),
    (
        {"reconstruction_esc": np.zeros((2, 15, 15), "f4")},
        r"reconstruction_esc has shape \(2, 15, 15\); with 2",
    ),
    ({"max": -1.0}, "the attribute 'max' is -1.0"),
]


@pytest.mark.parametrize(("changes", "message"), BREAKS)
def test_a_file_that_is_no_volume_is_named(
    data_dir: Path, changes: dict[str, Any], message: str
) -> None:
    path = data_dir / "fastmri" / TRAIN / "file1.h5"
    write_volume(path, **{"n_slices": 2, "n_side": 16, "width": 20, **changes})
    with pytest.raises(DataError, match=f"{path}: {message}"):
        sources_of(data_dir)


@pytest.mark.parametrize("keep", [0, 100, 3000, -1000])
def test_a_file_that_is_cut_off_is_named(data_dir: Path, keep: int) -> None:
    path = data_dir / "fastmri" / TRAIN / "file1.h5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=f"{path} cannot be read as h5 .*get it again"):
        sources_of(data_dir)


def test_a_file_that_loses_its_end_while_it_is_used_is_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 0)
    source = sources_of(data_dir)["train"]
    path = data_dir / "fastmri" / TRAIN / "file1.h5"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=rf"{path}, slice 1: the file is cut off"):
        source.read(np.array([3]), np.zeros(1, np.uint64))


@pytest.mark.parametrize("value", [0, np.nan])
def test_a_slice_that_cannot_be_normalised_is_named(data_dir: Path, value: float) -> None:
    path = data_dir / "fastmri" / VALIDATION / "file0.h5"
    write_volume(path, n_slices=2, n_side=16, kspace=np.full((2, 32, 20), value, np.complex64))
    with pytest.raises(DataError, match=rf"{path}, slice 0: the image has mean .* deviation"):
        sources_of(data_dir)


def less(data_dir: Path, name: str) -> Path:
    return data_dir / "fastmri" / name


MISSING: list[tuple[Callable[[Path], object], str]] = [
    (lambda d: less(d, f"{TRAIN}/file0.h5").unlink(), "4 slices of the 6 published for train"),
    (lambda d: less(d, f"{VALIDATION}/file0.h5").unlink(), "of the 2 published for test"),
    (lambda d: less(d, TRAIN).rename(d / "gone"), f"no folder {TRAIN} in"),
    (lambda d: less(d, VALIDATION).rename(d / "gone"), rf"no volumes \(\*.h5\) in .*{VALIDATION}"),
]


@pytest.mark.parametrize(("damage", "message"), MISSING)
def test_data_that_is_not_whole_is_refused_in_words(
    data_dir: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(data_dir)
    with pytest.raises(DataError, match=message):
        sources_of(data_dir)


def test_a_test_set_that_is_not_there_is_the_validation_set_where_less_is_allowed(
    data_dir: Path,
) -> None:
    less(data_dir, f"{VALIDATION}/file2.h5").unlink()
    sources = sources_of(data_dir, allow_partial=True)
    assert sources["test"].size == sources["validation"].size == 4


def test_without_a_folder_it_says_what_to_give() -> None:
    with pytest.raises(DataError, match="fastmri needs --data-dir DIR"):
        find_sizes(KNEES, DataRequest())
    with pytest.raises(DataError, match="pacebench data mini fastmri_mini"):
        find_sizes(PHANTOMS, DataRequest(data_dir=Path("absent")))


def test_mini_writes_the_same_volumes_every_time_and_keeps_those_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.fastmri.mini.N_PHANTOMS", {TRAIN: 2, VALIDATION: 1})
    told: list[tuple[str, int, int]] = []
    write_mini(tmp_path, lambda *progress: told.append(progress))
    assert told[-1] == (f"fastmri_mini/{VALIDATION}", 3, 3)
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*.h5")}
    assert len({content for content, _ in files.values()}) == 3
    lost = next(iter(files))
    lost.unlink()
    write_mini(tmp_path, lambda *progress: None)
    assert lost.read_bytes() == files.pop(lost)[0]
    assert all((p.read_bytes(), p.stat().st_mtime_ns) == seen for p, seen in files.items())
    # A fully sampled slice gives the image that it was made from.
    kspace_SW, target = read_slice(read_volume(lost, 48), 0)
    everything = np.ones(kspace_SW.shape[1], np.bool_)
    np.testing.assert_allclose(reconstruct(kspace_SW, everything), target, atol=1e-9, rtol=1e-4)
