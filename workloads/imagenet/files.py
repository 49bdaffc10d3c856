"""Finds the images of a data set of class folders: <folder>/<split>/<class>/<image>.

A split that `pacebench data prepare` has finished has a manifest beside its folder,
<folder>/<split>.tsv, with one line per image: path below <folder>, label, bytes, crc32. Without one
the folders are listed. Labels count the classes of `train` in sorted order (AlgoPerf v0.6: sorted
WordNet ids).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from pacebench.spec import DataRequest

SPLIT_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
SUFFIXES = (".jpeg", ".jpg")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """A data set as it is published, and how it is found."""

    name: str
    folder: str
    """Below --data-dir."""
    n_classes: int
    sizes: Mapping[str, int]
    help: str
    """What to do if it is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How an image file becomes an example."""

    n_side: int
    area_range: tuple[float, float]
    """Of the random crop in training, as shares of the image."""
    is_randaugmented: bool = False
    n_eval_train: int
    """Training images on which training's metric is measured, where there are so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageList:
    """The images of one split."""

    folder: Path
    paths: Sequence[str]
    """Below `folder`, sorted."""
    labels: NDArray[np.int64]
    """Of each path; shape N."""

    def at(self, indices_B: NDArray[np.int64]) -> ImageList:
        """Give the images at these places."""
        paths = [self.paths[i] for i in indices_B.tolist()]
        return ImageList(folder=self.folder, paths=paths, labels=self.labels[indices_B])


def find_sizes(images: ImageSet, how: Preprocessing, request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits; raises DataError."""
    return sizes_of(find_images(images, request), how)


def sizes_of(found: dict[str, ImageList], how: Preprocessing) -> dict[str, int]:
    """Give the sizes of the splits found."""
    n_train = len(found["train"].paths)
    return {
        "train": n_train,
        "eval_train": min(n_train, how.n_eval_train),
        "validation": len(found["validation"].paths),
        "test": len(found["test"].paths),
    }


def find_images(images: ImageSet, request: DataRequest) -> dict[str, ImageList]:
    """Give the images of `train`, `validation` and `test`; raises DataError.

    With `allow_partial` fewer classes and images will do, and a test set that is not there is
    replaced by the validation set, which the sizes then show.
    """
    folder = _find_folder(images, request)
    classes = _classes(folder / "train")
    if len(classes) != images.n_classes and not request.allow_partial:
        raise DataError(
            f"{images.name}: {folder / 'train'} has {len(classes):,} class folders, not "
            f"{images.n_classes:,} (--allow-partial-data takes them); {images.help}"
        )
    if not 0 < len(classes) <= images.n_classes:
        raise DataError(
            f"{images.name}: {folder / 'train'} has {len(classes):,} class folders, and the "
            f"model knows {images.n_classes:,} classes; {images.help}"
        )
    found = {}
    for split, name in SPLIT_FOLDERS.items():
        is_replaced = split == "test" and request.allow_partial and not (folder / name).is_dir()
        place = SPLIT_FOLDERS["validation"] if is_replaced else name
        found[split] = _list_split(images, folder, place, classes)
        n, published = len(found[split].paths), images.sizes[split]
        if n != published and not request.allow_partial:
            raise DataError(
                f"{images.name}: {folder / place} has {n:,} images of the {published:,} "
                "published (--allow-partial-data takes them, for a score that is not a full one); "
                f"{images.help}"
            )
    return found


def _find_folder(images: ImageSet, request: DataRequest) -> Path:
    if request.data_dir is None:
        raise DataError(
            f"{images.name} needs --data-dir DIR, with its images in DIR/{images.folder}; "
            f"{images.help}"
        )
    for folder in (request.data_dir / images.folder, request.data_dir):
        if (folder / "train").is_dir():
            return folder
    raise DataError(
        f"{images.name}: no folder train in {request.data_dir / images.folder}; {images.help}"
    )


def _classes(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def _list_split(images: ImageSet, folder: Path, split: str, classes: Sequence[str]) -> ImageList:
    manifest = folder / f"{split}.tsv"
    if manifest.is_file():
        return _from_manifest(folder, manifest)
    if (folder / ".prepare" / f"{split}.journal").is_file():
        raise DataError(
            f"{images.name}: {folder / split} is not whole: 'pacebench data prepare' was "
            "interrupted there; give the same command again"
        )
    top = folder / split
    if not top.is_dir():
        raise DataError(f"{images.name}: no folder {top}; {images.help}")
    label_of = {name: label for label, name in enumerate(classes)}
    paths, labels = [], []
    for name in _classes(top):
        if name not in label_of:
            raise DataError(f"{images.name}: class {name} of {top} is none of {folder}/train")
        names = sorted(p.name for p in (top / name).iterdir() if p.suffix.lower() in SUFFIXES)
        paths += [f"{split}/{name}/{image}" for image in names]
        labels += [label_of[name]] * len(names)
    if not paths:
        raise DataError(f"{images.name}: no JPEG images in {top}; {images.help}")
    return ImageList(folder=folder, paths=paths, labels=np.array(labels, np.int64))


def _from_manifest(folder: Path, manifest: Path) -> ImageList:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    try:
        rows = [line.split("\t") for line in lines]
        labels = np.array([int(row[1]) for row in rows], np.int64)
    except (IndexError, ValueError) as error:
        raise DataError(f"{manifest} is damaged ({error}); delete it and prepare again") from error
    return ImageList(folder=folder, paths=[row[0] for row in rows], labels=labels)
