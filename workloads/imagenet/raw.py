"""The raw download of ImageNet in its real layout: archives, class folders made of them, or what
TensorFlow Datasets has stored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from pacebench.errors import DataError
from workloads.imagenet.raw_images import (
    TEST_FOLDER,
    Image,
    class_of,
    walk_test,
    walk_train,
    walk_val,
)
from workloads.imagenet.split_records import WNID
from workloads.imagenet.stored import find_shards, walk_shards

TRAIN_ARCHIVE = "ILSVRC2012_img_train.tar"
VAL_ARCHIVE = "ILSVRC2012_img_val.tar"
DEVKIT_ARCHIVE = "ILSVRC2012_devkit_t12.tar.gz"
TEST_ARCHIVE = "imagenetv2-matched-frequency.tar.gz"
ARCHIVES = {
    "train": (TRAIN_ARCHIVE,),
    "val": (VAL_ARCHIVE, DEVKIT_ARCHIVE),
    "test": (TEST_ARCHIVE,),
}
"""What each split is made of; train comes first, for it defines the labels."""

_WALKS: dict[str, Callable[..., Generator[Image, None, None]]] = {
    "train": walk_train,
    "val": walk_val,
    "test": walk_test,
}
LABEL = re.compile(r"[0-9]{1,4}")
IMAGE_SUFFIXES = (".jpeg", ".jpg")


class Walk(Protocol):
    """Gives a split's images, class by class where the raw files allow it."""

    def __call__(
        self, classes: Sequence[str], keep_class: Callable[[str], bool]
    ) -> Generator[Image, None, None]:
        """Walk; `classes` are train's, sorted (none for train itself).

        A class of train for which `keep_class` says yes is passed over without being read.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RawSplit:
    """Where a split comes from."""

    archives: tuple[Path, ...]
    """Empty if the split is there as class folders."""
    n_bytes: int
    is_by_class: bool
    """Whether one class comes after the other."""
    fingerprint: str
    """Changes when the raw files do: names and sizes."""
    walk: Walk
    folder: Path | None = None
    """The class folders' folder, whose files can be linked, if there are no archives."""


def find_raw(split: str, raw_dir: Path) -> RawSplit | None:
    """Find the raw files of `train`, `val` or `test`: archives, folders, or stored shards."""
    archives = tuple(raw_dir / name for name in ARCHIVES[split])
    if all(path.is_file() for path in archives):
        sizes = [path.stat().st_size for path in archives]
        return RawSplit(
            archives=archives,
            n_bytes=sum(sizes),
            is_by_class=split == "train",
            fingerprint=" ".join(f"{a.name}:{n}" for a, n in zip(archives, sizes, strict=True)),
            walk=partial(_WALKS[split], *archives),
        )
    if split == "test" and (raw_dir / TEST_FOLDER).is_dir():
        found = _of_folder(raw_dir / TEST_FOLDER, LABEL)
    else:
        found = _of_folder(raw_dir / split, WNID)
    return found or _of_shards(split, raw_dir)


def _of_shards(split: str, raw_dir: Path) -> RawSplit | None:
    """Find a stored split; None if there is none."""
    shards = find_shards(split, raw_dir)
    if not shards:
        return None
    sizes = [shard.path.stat().st_size for shard in shards]
    return RawSplit(
        archives=(),
        n_bytes=sum(sizes),
        is_by_class=False,
        fingerprint=f"{shards[0].path.name}:{len(sizes)}:{sum(sizes)}",
        walk=partial(walk_shards, shards),
    )


def _of_folder(folder: Path, class_name: re.Pattern[str]) -> RawSplit | None:
    """Find class folders; None if there are none."""
    if not folder.is_dir():
        return None
    sizes = [entry.stat().st_size for _, entry in _files_of(folder, class_name)]
    if not sizes:
        return None
    return RawSplit(
        archives=(),
        n_bytes=sum(sizes),
        is_by_class=True,
        folder=folder,
        fingerprint=f"{folder.name}/:{len(sizes)}:{sum(sizes)}",
        walk=partial(_walk_folder, folder, class_name),
    )


def _walk_folder(
    folder: Path,
    class_name: re.Pattern[str],
    classes: Sequence[str],
    keep_class: Callable[[str], bool],  # noqa: ARG001 (a walk's; sizes of files are known at once)
) -> Generator[Image, None, None]:
    position = 0
    for name, entry in _files_of(folder, class_name):
        path, n_bytes = Path(entry.path), entry.stat().st_size
        wnid = name if class_name is WNID else class_of(name, classes, str(path))
        if n_bytes == 0:
            raise DataError(f"{path} is empty")
        yield Image(
            wnid=wnid,
            name=entry.name,
            n_bytes=n_bytes,
            position=position,
            read=path.read_bytes,
            file=path,
        )
        position += n_bytes


def _files_of(folder: Path, class_name: re.Pattern[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give the images of class folders with the folders' names, sorted."""
    for class_folder in sorted(folder.iterdir()):
        if class_folder.name.startswith(".") or not class_folder.is_dir():
            continue
        if not class_name.fullmatch(class_folder.name):
            raise DataError(f"{class_folder} is not a class folder; names are {class_name.pattern}")
        with os.scandir(class_folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.name.startswith("."):
                continue
            if not entry.name.isprintable():
                raise DataError(f"{entry.path!r}: the manifest cannot hold such a name")
            if not entry.is_file() or not entry.name.lower().endswith(IMAGE_SUFFIXES):
                raise DataError(f"{entry.path} is not an image (.JPEG, .jpeg or .jpg)")
            yield class_folder.name, entry
