"""cifar's data: hand-made Python 2 pickles, hostile ones, augmentation, and the real rows."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from workloads.cifar.batch_file import read_batch_file
from workloads.cifar.data import AugmentedImages, find_sizes, normalize, open_sources

REAL = Path(__file__).parents[2].parent / "shared" / "data"
FOLDER = "cifar10/cifar-10-batches-py"
# facts_speech_dev.md section 6
MEAN = np.array([0.49139968, 0.48215827, 0.44653124])
STDDEV = np.array([0.24703233, 0.24348505, 0.26158768])


def text(value: bytes) -> bytes:
    """A Python 2 string in pickle's opcodes: short, or with a length of four bytes."""
    if len(value) < 256:
        return b"U" + struct.pack("<B", len(value)) + value
    return b"T" + struct.pack("<i", len(value)) + value


def number(value: int) -> bytes:
    """An integer in pickle's opcodes."""
    return b"J" + struct.pack("<i", value)


def array_opcodes(pixels: NDArray[np.uint8], code: bytes = b"u1") -> bytes:
    """A numpy array of Python 2 in pickle's opcodes."""
    empty = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    )
    dtype = b"cnumpy\ndtype\n" + text(code) + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(number(n) for n in pixels.shape) + b"t"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"


def labels_opcodes(labels: Sequence[int]) -> bytes:
    """A list of integers in pickle's opcodes."""
    return b"](" + b"".join(number(int(label)) for label in labels) + b"e"


def python_2_pickle(data: bytes, labels: bytes) -> bytes:
    """The dict of a CIFAR-10 file as Python 2's cPickle writes it (protocol 2)."""
    items = text(b"data") + data + text(b"labels") + labels
    items += text(b"batch_label") + text(b"training batch 1 of 5")
    items += text(b"filenames") + b"](" + text(b"leptodactylus_pentadactylus_s_000004.png") + b"e"
    return b"\x80\x02}(" + items + b"u."


def write_file(path: Path, pixels: NDArray[np.uint8], labels: Sequence[int]) -> None:
    """Write one file of a data set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(python_2_pickle(array_opcodes(pixels), labels_opcodes(labels)))


def write_data(
    folder: Path, counts: dict[str, int], seed: int = 0
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Write files with random content; gives pixels and labels by file name."""
    generator = np.random.default_rng(seed)
    content = {}
    for name, n_rows in counts.items():
        pixels = generator.integers(0, 256, (n_rows, 3072), np.uint8)
        content[name] = (pixels, generator.integers(0, 10, n_rows))
        write_file(folder / name, *content[name])
    return content


SMALL = {"data_batch_1": 60, "data_batch_2": 40, "test_batch": 11}


def partial(data_dir: Path) -> DataRequest:
    """Ask for data that may have fewer rows."""
    return DataRequest(data_dir=data_dir, allow_partial=True)


def read_all(source: Any) -> dict[str, NDArray[Any]]:
    """Read a whole split with seeds that count from 0."""
    return source.read(np.arange(source.size), np.arange(source.size).astype(np.uint64))


def test_pixels_are_three_planes_and_are_normalised_by_colour(tmp_path: Path) -> None:
    content = write_data(tmp_path, SMALL)
    sources = open_sources(partial(tmp_path))
    batch = read_all(sources["test"])
    pixels, labels = content["test_batch"]
    assert (batch["inputs"].shape, batch["inputs"].dtype) == ((11, 32, 32, 3), np.float32)
    assert batch["targets"].dtype == np.int64
    assert batch["targets"].tolist() == labels.tolist()
    for row, y, x, colour in ((0, 0, 0, 0), (10, 31, 2, 1), (4, 7, 31, 2)):
        pixel = int(pixels[row, colour * 1024 + y * 32 + x])
        wanted = (pixel / 255 - MEAN[colour]) / STDDEV[colour]
        assert batch["inputs"][row, y, x, colour] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_partial_data_is_split_in_proportion_and_in_order(tmp_path: Path) -> None:
    content = write_data(tmp_path / FOLDER, SMALL)
    # 100 rows: 90 train, 10 validation; eval_train is 5,120 of 45,000: 10.24 of 90.
    sizes = {"train": 90, "eval_train": 10, "validation": 10, "test": 11}
    assert find_sizes(partial(tmp_path)) == sizes
    sources = open_sources(partial(tmp_path))
    assert {name: source.size for name, source in sources.items()} == sizes
    targets = [read_all(sources[n])["targets"] for n in ("train", "validation")]
    wanted = [content[n][1] for n in ("data_batch_1", "data_batch_2")]
    assert np.concatenate(targets).tolist() == np.concatenate(wanted).tolist()


def test_full_data_has_the_published_splits(tmp_path: Path) -> None:
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        write_file(tmp_path / name, np.zeros((10_000, 3072), np.uint8), [3] * 10_000)
    sizes = {"train": 45_000, "eval_train": 5_120, "validation": 5_000, "test": 10_000}
    assert find_sizes(DataRequest(data_dir=tmp_path)) == sizes


def test_eval_train_is_a_fixed_subset_and_is_not_augmented(tmp_path: Path) -> None:
    content = write_data(tmp_path, SMALL)
    first, second = (read_all(open_sources(partial(tmp_path))["eval_train"]) for _ in range(2))
    assert np.array_equal(first["inputs"], second["inputs"])
    pixels = np.concatenate([content["data_batch_1"][0], content["data_batch_2"][0]])[:90]
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    plain = {image.tobytes() for image in normalize(np.ascontiguousarray(images))}
    assert len({image.tobytes() for image in first["inputs"]} & plain) == 10


@pytest.mark.parametrize("place", ["cifar10/cifar-10-batches-py", "cifar-10-batches-py", "."])
def test_the_files_are_found_in_three_folders(tmp_path: Path, place: str) -> None:
    write_data(tmp_path / place, SMALL)
    assert find_sizes(partial(tmp_path))["test"] == 11


def test_the_first_of_the_three_folders_is_taken(tmp_path: Path) -> None:
    for n_test, place in enumerate((".", "cifar-10-batches-py", FOLDER), start=1):
        write_data(tmp_path / place, {"data_batch_1": 10, "test_batch": n_test})
        assert find_sizes(partial(tmp_path))["test"] == n_test


# Augmentation: an image whose pixels say where they are, [row, column, 1].
PLACES = np.stack([*np.mgrid[1:33, 1:33], np.ones((32, 32))], axis=-1).astype(np.uint8)


def places(inputs: NDArray[np.float32]) -> NDArray[np.int64]:
    """Undo the normalisation; padding is 0 and the image's rows and columns count from 1."""
    return np.rint((inputs * STDDEV + MEAN) * 255).astype(np.int64)


def augmented(seeds: Sequence[int]) -> NDArray[np.float32]:
    """Read the image of places once for each seed."""
    source = AugmentedImages(PLACES[None], np.zeros(1, np.int64))
    indices = np.zeros(len(seeds), np.int64)
    return source.read(indices, np.array(seeds, np.uint64))["inputs"]


def test_an_augmented_image_is_a_crop_of_the_padded_image_or_its_mirror() -> None:
    padded = np.pad(PLACES, ((2, 2), (2, 2), (0, 0))).astype(np.int64)
    crops = {
        crop[:, ::step].tobytes()
        for crop in (padded[y : y + 32, x : x + 32] for y in range(5) for x in range(5))
        for step in (1, -1)
    }
    assert len(crops) == 50
    assert {image.tobytes() for image in places(augmented(range(2000)))} == crops


def test_every_crop_and_flip_is_equally_frequent() -> None:
    n_draws = 20_000
    counts: dict[tuple[int, int, bool], int] = {}
    for start in range(0, n_draws, 2000):
        images = places(augmented(range(start, start + 2000)))
        centre, right = images[:, 16, 16], images[:, 16, 17]
        is_flipped = right[:, 1] < centre[:, 1]
        # Unshifted, the pixel at (16, 16) is the 17th of its row, and mirrored the 16th.
        down = centre[:, 0] - 17
        across = centre[:, 1] - np.where(is_flipped, 16, 17)
        for key in zip(down.tolist(), across.tolist(), is_flipped.tolist(), strict=True):
            counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 50
    assert {key[0] for key in counts} == {key[1] for key in counts} == {-2, -1, 0, 1, 2}
    # Binomial: 20,000 / 50 = 400 with deviation sqrt(400 · 0.98) = 19.8; five of them are 99.
    assert max(abs(n - 400) for n in counts.values()) < 99


def test_an_augmented_example_depends_on_its_seed_and_not_on_its_batch() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 32, 32, 3), np.uint8)
    source = AugmentedImages(images, np.arange(20))
    indices, seeds = generator.integers(0, 20, 40), generator.integers(0, 2**63, 40).astype("u8")
    together = source.read(indices, seeds)
    for i in (0, 1, 17, 39):
        alone = source.read(indices[i : i + 1], seeds[i : i + 1])
        assert alone["inputs"][0].tobytes() == together["inputs"][i].tobytes()
        assert alone["targets"][0] == together["targets"][i]
    order = generator.permutation(40)
    shuffled = source.read(indices[order], seeds[order])
    assert np.array_equal(shuffled["inputs"], together["inputs"][order])


def test_reading_leaves_the_images_as_they_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    before = images.copy()
    source = AugmentedImages(images, np.arange(4))
    first, again = read_all(source), read_all(source)
    assert np.array_equal(first["inputs"], again["inputs"])
    assert np.array_equal(images, before)


class Command:
    """Unpickled by an ordinary unpickler, this runs a command."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._target}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["whole", "data", "labels", "other"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, protocol: int, place: str) -> None:
    target = tmp_path / "ran"
    content: Any = {b"data": 0, b"labels": [1], place.encode(): Command(target)}
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(Command(target) if place == "whole" else content, protocol))
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.system.*do not trust"):
        read_batch_file(path, 10_000)
    assert not target.exists()
    pickle.loads(path.read_bytes())  # it is hostile indeed
    assert target.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "builtins\ngetattr",
        "numpy\nload",
        "numpy\nndarray.tofile",
        "numpy.core.multiarray\nfromfile",
        "workloads.cifar.batch_file\nPath",
        "_codecs\ndecode",
    ],
)
def test_no_other_name_is_looked_up(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data_batch_1"
    path.write_bytes(b"\x80\x02c" + name.encode() + b"\n.")
    with pytest.raises(DataError, match="which no CIFAR-10 file does"):
        read_batch_file(path, 10_000)


PIXELS = np.zeros((3, 3072), np.uint8)
LABELS = labels_opcodes([1, 2, 3])
BAD = [
    (b"", "no undamaged CIFAR-10 pickle"),
    (b"<html>404</html>", "no undamaged CIFAR-10 pickle"),
    (python_2_pickle(array_opcodes(PIXELS), LABELS)[:-400], "no undamaged CIFAR-10 pickle"),
    (pickle.dumps([1, 2], 2), "not a dict with b'data' and b'labels'"),
    (pickle.dumps({b"data": 1}, 2), "not a dict with b'data' and b'labels'"),
    (pickle.dumps({b"data": 1, b"labels": [1]}, 2), r"b'data' int, not bytes of shape \(n, 3072\)"),
    (python_2_pickle(array_opcodes(PIXELS[:, :9]), LABELS), r"shape \(3, 9\), not bytes"),
    (python_2_pickle(array_opcodes(PIXELS[0]), LABELS), r"shape \(3072,\), not bytes"),
    (python_2_pickle(array_opcodes(PIXELS[:0]), LABELS), "0 rows, not 1 to 10,000"),
    (python_2_pickle(array_opcodes(PIXELS, b"f4"), LABELS), "values of type b'f4', not 'u1'"),
    (python_2_pickle(array_opcodes(PIXELS), labels_opcodes([1, 2])), "2 labels for 3 images"),
    (python_2_pickle(array_opcodes(PIXELS), labels_opcodes([1, 2, 10])), "label 10 in row 2"),
    (python_2_pickle(array_opcodes(PIXELS), labels_opcodes([1, -1, 3])), "label -1 in row 1"),
    (python_2_pickle(array_opcodes(PIXELS), text(b"no")), "not a list of integers"),
    (python_2_pickle(array_opcodes(np.zeros((10_001, 3072), np.uint8)), LABELS), "10,001 rows"),
]


@pytest.mark.parametrize(("content", "words"), BAD, ids=range(len(BAD)))
def test_a_damaged_file_is_an_error_that_names_it(
    tmp_path: Path, content: bytes, words: str
) -> None:
    write_data(tmp_path, SMALL)
    path = tmp_path / "data_batch_2"
    path.write_bytes(content)
    for function in (find_sizes, open_sources):
        with pytest.raises(DataError, match=words) as caught:
            function(partial(tmp_path))
        assert str(path) in str(caught.value)
        assert "workloads/cifar/README.md" in str(caught.value)


def test_whatever_bytes_change_the_only_error_is_ours(tmp_path: Path) -> None:
    good = python_2_pickle(array_opcodes(PIXELS[:1]), labels_opcodes([1]))
    places_of_code = [i for i in range(len(good)) if i < 260 or i > len(good) - 160]
    generator = np.random.default_rng(0)
    path = tmp_path / "data_batch_1"
    n_errors = 0
    for _ in range(1500):
        bad = bytearray(good)
        for place in generator.choice(places_of_code, 2):
            bad[place] = generator.integers(256)
        path.write_bytes(bytes(bad))
        try:
            read_batch_file(path, 10_000)
        except DataError:
            n_errors += 1
    assert n_errors > 500


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_data(tmp_path / FOLDER, SMALL)
    with pytest.raises(DataError, match="lacks data_batch_3, data_batch_4, data_batch_5"):
        find_sizes(DataRequest(data_dir=tmp_path))
    (tmp_path / FOLDER / "test_batch").unlink()
    with pytest.raises(DataError, match=r"lacks .*test_batch"):
        find_sizes(partial(tmp_path))


def test_short_files_must_be_allowed(tmp_path: Path) -> None:
    write_data(tmp_path, {f"data_batch_{i}": 4 for i in range(1, 6)} | {"test_batch": 4})
    with pytest.raises(DataError, match=r"4 rows of the 10,000 published.*--allow-partial-data"):
        find_sizes(DataRequest(data_dir=tmp_path))
    assert find_sizes(partial(tmp_path))["train"] == 18


def test_no_files_and_no_folder_are_errors_that_say_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data_batch_1 in any of .*cifar10/"):
        find_sizes(partial(tmp_path))
    with pytest.raises(DataError, match="needs --data-dir DIR"):
        find_sizes(DataRequest())


def test_the_real_rows_are_read_when_they_are_there() -> None:
    if not (REAL / "cifar10").is_dir():
        pytest.skip(f"{REAL / 'cifar10'} is not there: real data is kept beside the repo")
    # shared/data/README.md: 4,000 + 500 rows; 5,120 of 45,000 are 409 of 3,600
    sizes = {"train": 3600, "eval_train": 409, "validation": 400, "test": 500}
    assert find_sizes(partial(REAL)) == sizes
    sources = open_sources(partial(REAL))
    for name in ("train", "test"):
        batch = read_all(sources[name])
        assert sorted(set(batch["targets"].tolist())) == list(range(10))
    # The published mean and deviation make each colour standard, up to sampling 409 photographs.
    inputs = read_all(sources["eval_train"])["inputs"]
    assert np.abs(inputs.mean((0, 1, 2))).max() < 0.15
    assert np.abs(inputs.std((0, 1, 2)) - 1).max() < 0.1
    # Neighbouring pixels of a photograph are alike; wrongly ordered planes would not be.
    assert np.abs(np.diff(inputs, axis=2)).mean() < 0.3
