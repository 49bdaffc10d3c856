"""fastmri: the splits of a folder of volumes, and their examples."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pacebench.seeds import example_seeds, uniform
from pacebench.spec import DataRequest
from tests.workloads.fastmri_files import (
    SMALL,
    TRAIN,
    VALIDATION,
    slow_example,
    sources_of,
    write_folders,
    write_volume,
)
from workloads.fastmri import data, masks
from workloads.fastmri.files import find_sizes
from workloads.fastmri.volumes import read_slice, read_volume


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return write_folders(tmp_path)


def test_splits_are_the_sorted_volumes_and_examples_are_their_slices(data_dir: Path) -> None:
    sources = sources_of(data_dir)
    sizes = {split: source.size for split, source in sources.items()}
    assert sizes == find_sizes(SMALL, DataRequest(data_dir=data_dir)) == dict(SMALL.sizes)
    seeds = np.arange(6, dtype=np.uint64) * 7
    batch = sources["train"].read(np.arange(6), seeds)
    assert set(batch) == {"inputs", "targets", "mean", "std", "volume_max"}
    for row in range(6):
        with h5py.File(data_dir / "fastmri" / TRAIN / f"file{row // 2}.h5") as file:
            kspace, target = file["kspace"][row % 2], file["reconstruction_esc"][row % 2]
            assert batch["volume_max"][row] == file.attrs["max"]
        drawn = [uniform(seeds[row : row + 1], s)[0] for s in range(kspace.shape[1])]
        kept = masks.kept_columns(np.array(drawn, np.float32))
        inputs, targets, mean, std = slow_example(kspace, target, kept)
        np.testing.assert_allclose(batch["inputs"][row], inputs, atol=1e-4)
        np.testing.assert_allclose(batch["targets"][row], targets, atol=1e-4)
        assert (batch["mean"][row], batch["std"][row]) == pytest.approx((mean, std), rel=1e-5)


def test_validation_and_test_keep_the_same_columns_in_every_slice(data_dir: Path) -> None:
    sources = sources_of(data_dir)
    for split, first in (("validation", 0), ("test", 2)):
        batch = sources[split].read(np.arange(2), np.arange(2, dtype=np.uint64))
        for row in range(2):
            with h5py.File(data_dir / "fastmri" / VALIDATION / f"file{first}.h5") as file:
                kspace, target = file["kspace"][row], file["reconstruction_esc"][row]
            kept = masks.evaluation_columns(kspace.shape[1])
            np.testing.assert_allclose(
                batch["inputs"][row], slow_example(kspace, target, kept)[0], atol=1e-4
            )
            assert np.array_equal(batch["references"][row], target)


def test_training_is_measured_on_masks_that_stay(data_dir: Path) -> None:
    measured = sources_of(data_dir)["eval_train"].read(np.arange(4), np.zeros(4, np.uint64))
    subset = data.fixed_subset(6, 4)
    again = sources_of(data_dir)["train"].read(subset, example_seeds(0, 0, subset))
    assert np.array_equal(measured["inputs"], again["inputs"])


def test_threads_batches_and_memory_change_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = np.arange(6, dtype=np.uint64)
    whole = sources_of(data_dir)["train"].read(np.arange(6), seeds)
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 0)
    sources = sources_of(data_dir, n_threads=3)
    threaded = sources["train"].read(np.arange(6), seeds)
    for i in range(6):
        one = sources["train"].read(np.array([i]), seeds[i : i + 1])
        for name, array in one.items():
            assert np.array_equal(array[0], whole[name][i])
            assert np.array_equal(threaded[name][i], whole[name][i])


def test_compressed_files_are_read_too(tmp_path: Path) -> None:
    for name, options in (("plain", {}), ("packed", {"compression": "gzip", "chunks": True})):
        write_volume(tmp_path / f"{name}.h5", n_slices=2, n_side=16, width=20, kspace=None)
        write_volume(tmp_path / "source.h5", n_slices=2, n_side=16, width=20)
        with (
            h5py.File(tmp_path / "source.h5") as source,
            h5py.File(tmp_path / f"{name}.h5", "a") as file,
        ):
            file.create_dataset("kspace", data=source["kspace"][:], **options)
    plain, packed = (read_volume(tmp_path / f"{name}.h5", 16) for name in ("plain", "packed"))
    assert plain.offsets is not None and packed.offsets is None
    for index in range(2):
        for left, right in zip(read_slice(plain, index), read_slice(packed, index), strict=True):
            assert np.array_equal(left, right)
