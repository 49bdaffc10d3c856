"""mnist's data: hand-made idx files, partial data, every kind of damage, and the real rows."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from workloads.mnist.data import find_sizes, open_sources

REAL = Path(__file__).parents[2].parent / "shared" / "data"
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def idx_bytes(array: NDArray[Any]) -> bytes:
    """Give an array as an idx file, before compression; 2049 and 2051 are the published magics."""
    magic = {1: 2049, 3: 2051}[array.ndim]
    return (
        struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.astype(np.uint8).tobytes()
    )


def write_idx(path: Path, array: NDArray[Any]) -> None:
    """Write an array as a gzipped idx file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(idx_bytes(array), compresslevel=1))


def write_data(folder: Path, n_train: int, n_test: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Write the four files with random content; gives the training images and labels."""
    generator = np.random.default_rng(0)
    parts = []
    for part, n_rows in (("train", n_train), ("t10k", n_test)):
        images = generator.integers(0, 256, (n_rows, 28, 28))
        labels = generator.integers(0, 10, n_rows)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
        parts.append((images, labels))
    return parts[0]


def partial(data_dir: Path) -> DataRequest:
    """Ask for data that may have fewer rows."""
    return DataRequest(data_dir=data_dir, allow_partial=True)


def read_all(source: Any) -> dict[str, NDArray[Any]]:
    """Read a whole split."""
    return source.read(np.arange(source.size), np.zeros(source.size, np.uint64))


def test_a_pixel_keeps_its_place_and_is_not_divided_by_255(tmp_path: Path) -> None:
    images = np.zeros((6, 28, 28), np.uint8)
    images[0, 3, 25] = 255
    images[1, 27, 0] = 1
    write_idx(tmp_path / TRAIN_IMAGES, images)
    write_idx(tmp_path / TRAIN_LABELS, np.arange(6))
    write_idx(tmp_path / TEST_IMAGES, images[:2])
    write_idx(tmp_path / TEST_LABELS, np.arange(2))
    batch = read_all(open_sources(partial(tmp_path))["train"])
    inputs = batch["inputs"]
    assert (inputs.shape, inputs.dtype) == ((5, 28, 28, 1), np.float32)
    assert (batch["targets"].tolist(), batch["targets"].dtype) == ([0, 1, 2, 3, 4], np.int64)
    # (0 - 0.1307) / 0.3081, (255 - 0.1307) / 0.3081 and (1 - 0.1307) / 0.3081
    assert inputs[0, 0, 0, 0] == pytest.approx(-0.4242129, rel=1e-6)
    assert inputs[0, 3, 25, 0] == pytest.approx(827.2291464, rel=1e-6)
    assert inputs[1, 27, 0, 0] == pytest.approx(2.8214865, rel=1e-6)
    assert np.sum(inputs != inputs[0, 0, 0, 0]) == 2


def test_full_data_has_the_published_splits(tmp_path: Path) -> None:
    images = np.zeros((60_000, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(60_000) // 256
    images[:, 0, 1] = np.arange(60_000) % 256
    write_idx(tmp_path / TRAIN_IMAGES, images)
    write_idx(tmp_path / TRAIN_LABELS, np.arange(60_000) % 10)
    write_idx(tmp_path / TEST_IMAGES, images[:10_000])
    write_idx(tmp_path / TEST_LABELS, np.arange(10_000) % 10)
    request = DataRequest(data_dir=tmp_path)
    # facts_speech_dev.md section 5
    sizes = {"train": 50_000, "eval_train": 10_000, "validation": 10_000, "test": 10_000}
    assert find_sizes(request) == sizes
    sources = open_sources(request)
    assert {name: source.size for name, source in sources.items()} == sizes
    last = sources["train"].read(np.array([49_999]), np.zeros(1, np.uint64))["inputs"][0, 0]
    first = sources["validation"].read(np.array([0]), np.zeros(1, np.uint64))["inputs"][0, 0]
    rows = [np.rint(x[:2, 0] * 0.3081 + 0.1307) @ [256, 1] for x in (last, first)]
    assert rows == [49_999, 50_000]


def test_partial_data_is_split_in_proportion(tmp_path: Path) -> None:
    images, labels = write_data(tmp_path / "mnist", 60, 7)
    sizes = {"train": 50, "eval_train": 10, "validation": 10, "test": 7}
    assert find_sizes(partial(tmp_path)) == sizes
    sources = open_sources(partial(tmp_path))
    assert {name: source.size for name, source in sources.items()} == sizes
    train, validation = read_all(sources["train"]), read_all(sources["validation"])
    np.testing.assert_array_equal(np.concatenate([train["targets"], validation["targets"]]), labels)
    np.testing.assert_allclose(
        np.concatenate([train["inputs"], validation["inputs"]])[..., 0],
        (images - 0.1307) / 0.3081,
        rtol=1e-5,
    )


def test_two_rows_are_enough_and_no_split_is_empty(tmp_path: Path) -> None:
    write_data(tmp_path, 2, 2)
    assert find_sizes(partial(tmp_path)) == {
        "train": 1,
        "eval_train": 1,
        "validation": 1,
        "test": 2,
    }


def test_eval_train_is_one_fixed_subset_of_the_training_rows(tmp_path: Path) -> None:
    write_data(tmp_path, 60, 7)
    first, second = (open_sources(partial(tmp_path)) for _ in range(2))
    subset = read_all(first["eval_train"])
    np.testing.assert_array_equal(subset["inputs"], read_all(second["eval_train"])["inputs"])
    rows = {x.tobytes() for x in read_all(first["train"])["inputs"]}
    assert len({x.tobytes() for x in subset["inputs"]} & rows) == 10


def test_fewer_rows_than_published_must_be_allowed(tmp_path: Path) -> None:
    write_data(tmp_path, 60, 7)
    with pytest.raises(DataError, match=r"60 rows of the 60,000 published.*--allow-partial-data"):
        find_sizes(DataRequest(data_dir=tmp_path))


@pytest.mark.parametrize("place", ["mnist", "MNIST", "MNIST/raw", "."])
def test_the_files_are_found_in_four_folders(tmp_path: Path, place: str) -> None:
    write_data(tmp_path / place, 60, 7)
    assert find_sizes(partial(tmp_path))["train"] == 50


def test_the_first_of_the_four_folders_is_taken(tmp_path: Path) -> None:
    for n_train, place in ((12, "."), (24, "MNIST/raw"), (36, "MNIST"), (60, "mnist")):
        write_data(tmp_path / place, n_train, 7)
        assert find_sizes(partial(tmp_path))["train"] == n_train * 5 // 6


def cut_gzip(path: Path) -> None:
    """Lose the end, as an interrupted download does."""
    path.write_bytes(path.read_bytes()[:-20])


def flip_byte(path: Path) -> None:
    """Change a byte in the middle of the compressed values."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Give a corruption of the content before compression."""
    return lambda path: path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


EARLY = [  # (file, corruption, words): seen by find_sizes, before anything is planned
    (TRAIN_IMAGES, Path.unlink, r"lacks train-images-idx3-ubyte\.gz"),
    (TEST_LABELS, Path.unlink, r"lacks t10k-labels-idx1-ubyte\.gz"),
    (TRAIN_IMAGES, lambda p: p.write_bytes(b""), "ends within its header, after 0 bytes"),
    (TRAIN_IMAGES, lambda p: p.write_bytes(b"<html>404</html>"), "no undamaged gzip file"),
    (TRAIN_IMAGES, cut_gzip, "cut off or damaged|no undamaged gzip file"),
    (TRAIN_LABELS, rewrite(lambda b: b[:6]), "ends within its header, after 6 bytes"),
    (TRAIN_IMAGES, rewrite(lambda b: idx_bytes(np.zeros(60))), "magic 2049, not 2051"),
    (TRAIN_LABELS, rewrite(lambda b: b"\x00\x00\x0d\x01" + b[4:]), "magic 3329, not 2049"),
    (TEST_IMAGES, rewrite(lambda b: idx_bytes(np.zeros((7, 28, 27)))), r"shape \(28, 27\)"),
    (TRAIN_IMAGES, rewrite(lambda b: b[:-1]), r"60 rows of its header need 47,056 bytes"),
    (TRAIN_IMAGES, rewrite(lambda b: b + b"\x00"), "the end of the file says 47,057"),
    (TRAIN_LABELS, rewrite(lambda b: idx_bytes(np.zeros(59))), r"60 rows but .* has 59"),
    (TEST_LABELS, rewrite(lambda b: idx_bytes(np.zeros(8))), r"7 rows but .* has 8"),
]


@pytest.mark.parametrize(("name", "corrupt", "words"), EARLY)
def test_a_wrong_header_or_length_is_found_before_anything_is_planned(
    tmp_path: Path, name: str, corrupt: Callable[[Path], None], words: str
) -> None:
    write_data(tmp_path / "mnist", 60, 7)
    corrupt(tmp_path / "mnist" / name)
    for function in (find_sizes, open_sources):
        with pytest.raises(DataError, match=words) as caught:
            function(partial(tmp_path))
        assert str(tmp_path / "mnist") in str(caught.value)
        assert name in str(caught.value)
        assert "workloads/mnist/README.md" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "corrupt", "words"),
    [
        (TRAIN_IMAGES, flip_byte, "no undamaged gzip file"),
        (TEST_LABELS, rewrite(lambda b: b[:-1] + b"\x0a"), "label 10 in row 6; labels are 0 to 9"),
    ],
)
def test_damage_among_the_values_is_found_when_they_are_read(
    tmp_path: Path, name: str, corrupt: Callable[[Path], None], words: str
) -> None:
    write_data(tmp_path, 60, 7)
    corrupt(tmp_path / name)
    with pytest.raises(DataError, match=words) as caught:
        open_sources(partial(tmp_path))
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(("n_train", "n_test"), [(60_001, 2), (2, 10_001)])
def test_more_rows_than_published_are_an_error(tmp_path: Path, n_train: int, n_test: int) -> None:
    for part, n_rows in (("train", n_train), ("t10k", n_test)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", np.zeros((n_rows, 28, 28), np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.zeros(n_rows))
    with pytest.raises(DataError, match=r"rows, more than the .* published"):
        find_sizes(partial(tmp_path))


def test_no_files_and_no_folder_are_errors_that_say_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte\.gz in any of .*MNIST/raw"):
        find_sizes(partial(tmp_path))
    with pytest.raises(DataError, match="needs --data-dir DIR"):
        find_sizes(DataRequest())


def test_the_real_rows_are_read_when_they_are_there() -> None:
    if not (REAL / "mnist").is_dir():
        pytest.skip(f"{REAL / 'mnist'} is not there: real data is kept beside the repo")
    # shared/data/README.md: 30,000 + 5,000 real digits
    sizes = {"train": 25_000, "eval_train": 5_000, "validation": 5_000, "test": 5_000}
    assert find_sizes(partial(REAL)) == sizes
    batch = read_all(open_sources(partial(REAL))["test"])
    assert sorted(set(batch["targets"].tolist())) == list(range(10))
    # Most of a digit is empty, and strokes reach full ink: (255 - 0.1307) / 0.3081.
    assert np.mean(batch["inputs"] < 0) > 0.7
    assert batch["inputs"].max() == pytest.approx(827.2291464, rel=1e-6)
