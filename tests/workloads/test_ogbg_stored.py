"""ogbg from what TensorFlow Datasets stores: the same molecules as from OGB's tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from tests.tfds_sets import build, store_as_tfrecords
from tests.workloads.ogbg_raw import random_tables, write_raw
from workloads.ogbg.files import open_molecules
from workloads.ogbg.prepare import needed_bytes_pcba, prepare_pcba

pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow Datasets' own

NAME = "ogbg_molpcba/0.1.3"


def say_nothing(_what: str, _done: int, _total: int) -> None:
    """Take a report."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OGB's tables."""
    folder = tmp_path_factory.mktemp("tables")
    write_raw(folder / "pcba", random_tables(n_labels=128))
    return folder


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, tables: Path) -> Path:
    """A folder in which TensorFlow Datasets has stored them."""
    from tensorflow_datasets.datasets.ogbg_molpcba import ogbg_molpcba_dataset_builder

    folder = tmp_path_factory.mktemp("stored")
    assert build(ogbg_molpcba_dataset_builder.Builder, tables, folder) == folder / NAME
    return folder


def molecules_of(folder: Path, split: str) -> list[tuple[bytes, ...]]:
    """Give all that is known of the molecules of a split, sorted."""
    found = open_molecules(folder)
    atoms, bonds = np.cumsum(np.vstack([[0, 0], found.sizes_N2]), axis=0).T.tolist()
    return sorted(
        (
            found.node_features[atoms[i] : atoms[i + 1]].tobytes(),
            found.edges[bonds[i] : bonds[i + 1]].tobytes(),
            found.edge_features[bonds[i] : bonds[i + 1]].tobytes(),
            found.labels_NK[i].tobytes(),
        )
        for i in np.load(folder / f"{split}.npy").tolist()
    )


@pytest.mark.parametrize("sizes", [None, [25, 15]])
def test_the_same_molecules_come_of_it(
    tmp_path: Path, tables: Path, stored: Path, sizes: list[int] | None
) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    if sizes is not None:
        store_as_tfrecords(raw / NAME, {"train": sizes})
    prepare_pcba(tables, tmp_path / "one", say_nothing)
    n_bytes = needed_bytes_pcba(raw, tmp_path / "two")
    prepare_pcba(raw, tmp_path / "two", say_nothing)
    for split in ("train", "validation", "test"):
        one, two = (molecules_of(tmp_path / name / "ogbg", split) for name in ("one", "two"))
        assert one == two
    assert len(molecules_of(tmp_path / "two" / "ogbg", "train")) == 40
    written = sum(path.stat().st_size for path in (tmp_path / "two/ogbg").glob("*.npy"))
    assert 0 <= written - n_bytes <= 8 * 128 + 60 * 4  # the heads of eight files, and splits
    assert needed_bytes_pcba(raw, tmp_path / "two") == 0


def test_an_interrupted_run_goes_on(tmp_path: Path, stored: Path) -> None:
    def break_off(what: str, _done: int, _total: int) -> None:
        if what == "edge-feat.csv.gz":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_pcba(stored, tmp_path, break_off)
    assert (tmp_path / "ogbg" / ".prepare" / "node_features.npy").is_file()
    seen: list[str] = []
    prepare_pcba(stored, tmp_path, lambda what, done, total: seen.append(what))
    assert "node-feat.csv.gz" not in seen
    assert len(molecules_of(tmp_path / "ogbg", "train")) == 40


def cut_in_half(path: Path) -> None:
    """Keep the first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [cut_in_half, Path.unlink])
def test_a_damaged_file_is_named(
    tmp_path: Path, stored: Path, damage: Callable[[Path], None]
) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    store_as_tfrecords(raw / NAME, {})
    [path] = (raw / NAME).glob("*-train.tfrecord*")
    damage(path)
    with pytest.raises(DataError, match=rf"{path.name} is .*build the data set again"):
        prepare_pcba(raw, tmp_path, say_nothing)
    assert not (tmp_path / "ogbg" / "manifest.json").exists()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nor what TensorFlow Datasets stores as ogbg_molpcba/"):
        prepare_pcba(tmp_path, tmp_path, say_nothing)
