"""imagenet: what is read from class folders, and what is said about files that are not right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.spec import DataRequest, Source, Workload
from workloads.imagenet import IMAGENET, RESNET_MINI, VIT_MINI, WORKLOADS
from workloads.imagenet.data import open_sources
from workloads.imagenet.files import ImageSet, Preprocessing, find_sizes
from workloads.imagenet.mini import draw, write_mini
from workloads.imagenet.shapes import CLASSES, FOLDER

SET = ImageSet(
    name="imagenet",
    folder="imagenet",
    n_classes=3,
    sizes={"train": 6, "validation": 3, "test": 3},
    help="see the README",
)
HOW = Preprocessing(n_side=32, area_range=(0.5, 1.0), n_eval_train=4)
COUNTS = {"train": 2, "val": 1, "test": 1}


def write_image(path: Path, level: int) -> None:
    """Write a JPEG of one grey level, so that its class can be told from its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 40, 3), level, np.uint8))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Three classes, whose pixels are 0, 100 and 200."""
    for split, n in COUNTS.items():
        for label, name in enumerate(("n01", "n02", "n10")):
            for i in range(n):
                write_image(tmp_path / "imagenet" / split / name / f"{i}.JPEG", 100 * label)
    return tmp_path


def sources_of(data_dir: Path, n_threads: int = 1, **changes: bool) -> dict[str, Source]:
    request = DataRequest(data_dir=data_dir, n_threads=n_threads, **changes)
    return open_sources(SET, HOW, request)


def test_labels_count_the_sorted_classes_and_images_lie_under_their_label(data_dir: Path) -> None:
    sources = sources_of(data_dir)
    assert find_sizes(SET, HOW, DataRequest(data_dir=data_dir)) == {
        "train": 6,
        "eval_train": 4,
        "validation": 3,
        "test": 3,
    }
    batch = sources["train"].read(np.arange(6), np.arange(6, dtype=np.uint64))
    assert batch["targets"].tolist() == [0, 0, 1, 1, 2, 2]
    # AlgoPerf v0.6 jax: (level - 255 · 0.485) / (255 · 0.229) for red; JPEG keeps a flat grey.
    red = (np.array([0, 100, 200]) - 255 * 0.485) / (255 * 0.229)
    assert np.abs(batch["inputs"][::2, :, :, 0] - red[:, None, None]).max() < 0.02
    assert batch["inputs"].shape == (6, 32, 32, 3)
    assert batch["inputs"].dtype == np.float32


def test_threads_and_batches_change_nothing(data_dir: Path) -> None:
    seeds = np.arange(6, dtype=np.uint64) * 7
    whole = sources_of(data_dir)["train"].read(np.arange(6), seeds)
    threaded = sources_of(data_dir, n_threads=4)["train"].read(np.arange(6), seeds)
    assert np.array_equal(whole["inputs"], threaded["inputs"])
    for i in range(6):
        one = sources_of(data_dir)["train"].read(np.array([i]), seeds[i : i + 1])
        assert np.array_equal(one["inputs"][0], whole["inputs"][i])


def test_a_manifest_is_read_instead_of_the_folders(data_dir: Path) -> None:
    manifest = data_dir / "imagenet" / "val.tsv"
    manifest.write_text("val/n10/0.JPEG\t2\t1\t00000000\nval/n01/0.JPEG\t0\t1\t00000000\n")
    sources = sources_of(data_dir, allow_partial=True)
    assert sources["validation"].read(np.arange(2), np.zeros(2, np.uint64))["targets"].tolist() == [
        2,
        0,
    ]
    manifest.write_text("val/n10/0.JPEG\n")
    with pytest.raises(DataError, match=r"val\.tsv is damaged .*prepare again"):
        sources_of(data_dir, allow_partial=True)


def test_a_test_set_that_is_not_there_is_the_validation_set_where_less_is_allowed(
    data_dir: Path,
) -> None:
    (data_dir / "imagenet" / "test").rename(data_dir / "gone")
    with pytest.raises(DataError, match=r"no folder .*test"):
        sources_of(data_dir)
    sources = sources_of(data_dir, allow_partial=True)
    assert sources["test"].size == sources["validation"].size == 3


def less(data_dir: Path, name: str) -> Path:
    return data_dir / "imagenet" / name


BREAKS: list[tuple[Callable[[Path], object], str]] = [
    (lambda d: less(d, "train/n01/0.JPEG").unlink(), "has 5 images of the 6 published"),
    (lambda d: less(d, "train/n10").rename(d / "gone"), "has 2 class folders, not 3"),
    (lambda d: less(d, "train/n11").mkdir(), "has 4 class folders, not 3"),
    (lambda d: less(d, "val/n10").rename(less(d, "val/n99")), "class n99 of .* is none of"),
    (lambda d: less(d, "val").rename(d / "gone"), "no folder .*val"),
    (lambda d: less(d, "train").rename(d / "gone"), "no folder train in"),
]


@pytest.mark.parametrize(("damage", "message"), BREAKS)
def test_data_that_is_not_whole_is_refused_in_words(
    data_dir: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(data_dir)
    with pytest.raises(DataError, match=message):
        sources_of(data_dir)


def test_more_classes_than_the_model_knows_are_never_read(data_dir: Path) -> None:
    for name in ("n11", "n12"):
        write_image(less(data_dir, f"train/{name}/0.JPEG"), 0)
    with pytest.raises(DataError, match="5 class folders, and the model knows 3"):
        sources_of(data_dir, allow_partial=True)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0 cut off"])
def test_a_file_that_is_no_whole_image_is_named(data_dir: Path, content: bytes) -> None:
    path = less(data_dir, "train/n02/1.JPEG")
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path}: "):
        sources_of(data_dir)["train"].read(np.arange(6), np.zeros(6, np.uint64))


def test_without_a_folder_it_says_what_to_give() -> None:
    with pytest.raises(DataError, match="imagenet needs --data-dir DIR"):
        find_sizes(SET, HOW, DataRequest())


def test_the_published_sizes_fill_the_batches_of_evaluation() -> None:
    # AlgoPerf v0.6: 49 · 1024 and 25 · 2048 training images; 50,000 / 1024 = 48.8, / 2048 = 24.4.
    sizes = {w.name: w.sizes["eval_train"] for w in WORKLOADS}
    assert (sizes["imagenet_resnet"], sizes["imagenet_vit"]) == (50_176, 51_200)
    assert IMAGENET.sizes == {"train": 1_281_167, "validation": 50_000, "test": 10_000}


def test_generated_images_are_the_same_every_time_and_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.imagenet.mini.N_PER_CLASS", {"train": 2, "val": 1, "test": 1})
    told: list[tuple[str, int, int]] = []
    write_mini(tmp_path, lambda *progress: told.append(progress))
    assert told[-1] == (f"{FOLDER}/test", 40, 40)
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*.JPEG")}
    assert len(files) == 40
    lost = next(iter(files))
    lost.unlink()
    write_mini(tmp_path, lambda *progress: None)
    again = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*.JPEG")}
    assert {p: data for p, (data, _) in again.items()} == {p: d for p, (d, _) in files.items()}
    del files[lost], again[lost]
    assert again == files
    images = {draw(name, np.random.default_rng(0)).tobytes() for name in CLASSES}
    assert len(images) == len(CLASSES)


@pytest.mark.parametrize("workload", [RESNET_MINI, VIT_MINI], ids=lambda w: w.name)
def test_mini_asks_for_its_data_in_words(workload: Workload, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pacebench data mini imagenet_resnet_mini"):
        workload.find_sizes(DataRequest(data_dir=tmp_path))
