"""Stored data sets: damage is named, and nothing asks for TensorFlow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.tfds_records import find_stored, open_stored
from tests.tfds_sets import store_as_tfrecords

tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow Datasets' own

NAME = "words/1.0.0"
N_WORDS = 3000


class Words(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """Words with their numbers."""

    name = "words"
    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = Path(__file__).parent

    def _info(self) -> Any:
        word, number = tfds.features.Text(), tfds.features.Scalar(dtype=np.int64)
        features = tfds.features.FeaturesDict({"word": word, "number": number})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for i in range(N_WORDS):
            yield i, {"word": f"w{i}", "number": i}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `data_dir` that holds a small data set."""
    folder = tmp_path_factory.mktemp("stored")
    Words(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture(params=["array_record", "tfrecord"])
def place(request: pytest.FixtureRequest, stored: Path, tmp_path: Path) -> Path:
    """A copy of it, in either format; the second in two shards."""
    copy = shutil.copytree(stored, tmp_path / "copy") / NAME
    if request.param == "tfrecord":
        store_as_tfrecords(copy, {"train": [1000, N_WORDS - 1000]})
    return copy


def words_in(place: Path) -> list[dict[str, Any]]:
    """Read all examples."""
    return [example for shard in open_stored(place)["train"] for example in shard.examples()]


def test_every_example_comes_once(place: Path) -> None:
    numbers = sorted(int(example["number"]) for example in words_in(place))
    assert numbers == list(range(N_WORDS))
    assert all(example["word"] == b"w%d" % example["number"] for example in words_in(place))


def cut_in_half(path: Path) -> None:
    """Keep the first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Keep nothing."""
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    """Zero some bytes near the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes(700) + content[1000:])


@pytest.mark.parametrize("damage", [cut_in_half, empty, overwrite, Path.unlink])
def test_a_damaged_shard_is_named(place: Path, damage: Callable[[Path], None]) -> None:
    path = min(path for path in place.iterdir() if "record-" in path.name)
    damage(path)
    with pytest.raises(DataError, match=rf"{path.name} is .*build the data set again"):
        words_in(place)


def test_a_damaged_description_is_named(place: Path) -> None:
    cut_in_half(place / "dataset_info.json")
    with pytest.raises(DataError, match=rf"{place} is damaged or cut off"):
        open_stored(place)


def test_a_folder_without_it_holds_nothing(tmp_path: Path) -> None:
    assert find_stored(tmp_path, NAME) is None


def test_reading_needs_no_tensorflow(stored: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pacebench.tfds_records import open_stored\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
        f"[shard] = open_stored(Path({str(stored / NAME)!r}))['train']\n"
        "print(sum(1 for _ in shard.examples()), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(N_WORDS), "False"]
