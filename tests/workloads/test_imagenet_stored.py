"""ImageNet from what TensorFlow Datasets stores: the same files as from the archives."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacebench.errors import DataError
from tests.tfds_sets import store_as_tfrecords
from tests.workloads.imagenet_raw import (
    VAL_WNIDS,
    WNIDS,
    expected_files,
    images_of_label,
    manifest_of,
    quiet,
    train_files,
    val_files,
)
from workloads.imagenet.prepare import needed_bytes, prepare
from workloads.imagenet.stored import IMAGENET, IMAGENET_V2

tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow Datasets' own


def images_of(split: str) -> Iterator[tuple[str, str, bytes]]:
    """Give class, name and bytes of a split's images."""
    if split == "train":
        for wnid in WNIDS:
            yield from ((wnid, name, content) for name, content in train_files(wnid).items())
    elif split == "validation":
        for wnid, (name, content) in zip(VAL_WNIDS, val_files().items(), strict=True):
            yield wnid, name, content
    else:
        for label, wnid in enumerate(WNIDS):
            for name, content in images_of_label(label).items():
                yield wnid, f"{label}/{name}", content


class Small(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """A few images with the features of the real data sets."""

    VERSION = tfds.core.Version("5.1.0")
    pkg_dir_path = Path(__file__).parent
    names: Any = WNIDS
    splits: tuple[str, ...] = ("train", "validation")

    def _info(self) -> Any:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=self.names),
                "file_name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {split: self._generate_examples(split) for split in self.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for wnid, name, content in images_of(split):
            yield (
                name,
                {"image": content, "label": self.names[WNIDS.index(wnid)], "file_name": name},
            )


class SmallV2(Small):
    """ImageNet-v2's split."""

    VERSION = tfds.core.Version("3.0.0")
    splits = ("test",)


def store(folder: Path, builder: type[Small], name: str) -> None:
    """Store a data set where the real one of this name would be."""
    built = builder(data_dir=folder / "built", file_format="array_record")
    built.download_and_prepare()
    (folder / name).parent.mkdir(parents=True)
    Path(built.data_dir).rename(folder / name)
    shutil.rmtree(folder / "built")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both data sets."""
    folder = tmp_path_factory.mktemp("stored")
    store(folder, Small, IMAGENET)
    store(folder, SmallV2, IMAGENET_V2)
    return folder


def written(data: Path) -> dict[str, bytes]:
    """Give the images below imagenet/, by path."""
    folder = data / "imagenet"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix.lower() == ".jpeg"
    }


@pytest.mark.parametrize("sizes", [None, [2, 7]])
def test_the_same_files_come_of_it(tmp_path: Path, stored: Path, sizes: list[int] | None) -> None:
    raw = shutil.copytree(stored, tmp_path / "raw")
    if sizes is not None:
        store_as_tfrecords(raw / IMAGENET, {"train": sizes})
    assert needed_bytes(raw, tmp_path / "data") > 0
    prepare(raw, tmp_path / "data", quiet)
    assert written(tmp_path / "data") == expected_files()
    for split in ("train", "val", "test"):
        manifest = tmp_path / "data" / "imagenet" / f"{split}.tsv"
        assert manifest.read_text() == manifest_of(split)
    assert needed_bytes(raw, tmp_path / "data") == 0


def test_an_interrupted_run_goes_on(tmp_path: Path, stored: Path) -> None:
    def break_off(what: str, _done: int, _total: int) -> None:
        if what.startswith("val n"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(stored, tmp_path, break_off)
    seen: list[str] = []
    prepare(stored, tmp_path, lambda what, done, total: seen.append(what))
    assert not any(what.startswith("train n") for what in seen)
    assert written(tmp_path) == expected_files()


def test_labels_that_are_no_classes_are_named(tmp_path: Path, stored: Path) -> None:
    class Unnamed(Small):
        names = ("zero", "one", "two")

    shutil.copytree(stored / IMAGENET_V2, tmp_path / IMAGENET_V2)
    store(tmp_path, Unnamed, IMAGENET)
    with pytest.raises(DataError, match=r"JPEG has the label '\w+', which is no WordNet id"):
        prepare(tmp_path, tmp_path, quiet)


def test_what_is_missing_is_named(tmp_path: Path, stored: Path) -> None:
    shutil.copytree(stored / IMAGENET, tmp_path / IMAGENET)
    with pytest.raises(DataError, match=r"imagenet's test .*or TensorFlow Datasets' imagenet_v2/"):
        prepare(tmp_path, tmp_path, quiet)
