"""Tiny raw archives of ImageNet in their real layout, and what `prepare` makes of them."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workloads.imagenet.prepare import RAW_FILES

TRAIN, VAL, DEVKIT, TEST = RAW_FILES
WNIDS = ("n01440764", "n02206856", "n02219486")
# ILSVRC2012_IDs are not in the order of the WordNet ids, in the real devkit too.
ID_OF = {"n02219486": 1, "n01440764": 2, "n02206856": 3}
# The order of the classes in the archive is not the sorted one either.
TRAIN_ORDER = ("n02206856", "n01440764", "n02219486")
N_TRAIN = {"n01440764": 3, "n02206856": 4, "n02219486": 2}
GROUND_TRUTH = [1, 3, 2, 2, 1]
VAL_WNIDS = ["n02219486", "n02206856", "n01440764", "n01440764", "n02219486"]
TEST_FOLDER = "imagenetv2-matched-frequency-format-val"


def jpeg(name: str) -> bytes:
    """Give bytes that begin and end as a JPEG's; of any length, also whole blocks of 512."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    n = 1020 if name.endswith("_1.JPEG") else int(generator.integers(600, 3000))
    return b"\xff\xd8" + generator.bytes(n) + b"\xff\xd9"


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def train_files(wnid: str) -> dict[str, bytes]:
    names = [f"{wnid}_{10 * i}.JPEG" for i in range(1, N_TRAIN[wnid])] + [f"{wnid}_1.JPEG"]
    return {name: jpeg(name) for name in names}


def val_files() -> dict[str, bytes]:
    names = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, len(GROUND_TRUTH) + 1)]
    return {name: jpeg(name) for name in names}


def images_of_label(label: int) -> dict[str, bytes]:
    names = [f"{zlib.crc32(bytes([label, i])):08x}.jpeg" for i in range(2)]
    return {name: jpeg(f"{label}{name}") for name in names}


def meta_mat() -> bytes:
    """Write the devkit's table: a struct array with three leaves and their common parent."""
    from scipy.io import savemat

    fields = "ILSVRC2012_ID WNID words gloss num_children children wordnet_height num_train_images"
    synsets = np.zeros((len(WNIDS) + 1, 1), [(name, object) for name in fields.split()])
    rows = sorted((number, wnid) for wnid, number in ID_OF.items())
    for i, (number, wnid) in enumerate(rows):
        synsets[i, 0] = (number, wnid, "a, b", "a thing", 0, np.zeros((1, 0)), 0, N_TRAIN[wnid])
    synsets[-1, 0] = (4, "n00001740", "entity", "all", 3, np.array([1, 2, 3]), 1, 9)
    buffer: Any = io.BytesIO()  # savemat's stubs know paths only
    savemat(buffer, {"synsets": synsets})
    content: bytes = buffer.getvalue()
    return content


def devkit_files(ground_truth: list[int] | None = None) -> dict[str, bytes]:
    lines = GROUND_TRUTH if ground_truth is None else ground_truth
    return {
        "ILSVRC2012_devkit_t12/readme.txt": b"read me",
        "ILSVRC2012_devkit_t12/data/meta.mat": meta_mat(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "".join(
            f"{line}\n" for line in lines
        ).encode(),
    }


def write_raw(folder: Path) -> Path:
    folder.mkdir()
    classes = {f"{wnid}.tar": tar_of(train_files(wnid)) for wnid in TRAIN_ORDER}
    (folder / TRAIN).write_bytes(tar_of(classes))
    (folder / VAL).write_bytes(tar_of(val_files()))
    (folder / DEVKIT).write_bytes(tar_of(devkit_files(), "w:gz"))
    test = {
        f"{TEST_FOLDER}/{label}/{name}": content
        for label in (2, 0, 1)
        for name, content in images_of_label(label).items()
    }
    (folder / TEST).write_bytes(tar_of(test, "w:gz"))
    return folder


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total, what


def expected_files() -> dict[str, bytes]:
    """Give what is below imagenet/ afterwards, by path."""
    files = {f"train/{w}/{n}": c for w in WNIDS for n, c in train_files(w).items()}
    pairs = zip(VAL_WNIDS, val_files().items(), strict=True)
    files |= {f"val/{wnid}/{name}": content for wnid, (name, content) in pairs}
    for label, wnid in enumerate(WNIDS):
        files |= {f"test/{wnid}/{n}": c for n, c in images_of_label(label).items()}
    return files


def manifest_of(split: str) -> str:
    lines = [
        f"{path}\t{WNIDS.index(path.split('/')[1])}\t{len(content)}\t{zlib.crc32(content):08x}\n"
        for path, content in sorted(expected_files().items())
        if path.startswith(f"{split}/")
    ]
    return "".join(lines)


def check(data: Path) -> None:
    """Compare everything that is visible below imagenet/."""
    folder = data / "imagenet"
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".prepare" not in path.parts and path.suffix != ".tsv"
    }
    assert found == expected_files()
    for split in ("train", "val", "test"):
        assert (folder / f"{split}.tsv").read_text() == manifest_of(split)


def times(data: Path) -> dict[Path, int]:
    paths = (data / "imagenet").rglob("*")
    return {p: p.stat().st_mtime_ns for p in paths if p.name != "lock"}


class Killed(BaseException):
    """Ends a run in the middle, past everything that catches errors."""


def kill_at(n: int) -> Callable[[str, int, int], None]:
    calls = iter(range(1, 1000))

    def report(what: str, done: int, total: int) -> None:
        if next(calls) == n:
            raise Killed

    return report
