"""ImageNet as TensorFlow Datasets has stored it: images in its order, as they were, not decoded.

What it repaired (a PNG and images in CMYK among the JPEGs) comes as it was stored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path, PurePosixPath

from pacebench.errors import DataError
from pacebench.tfds_records import StoredShard, find_stored, open_stored
from workloads.imagenet.raw_images import Image
from workloads.imagenet.split_records import WNID

IMAGENET, IMAGENET_V2 = "imagenet2012/5.1.0", "imagenet_v2/matched-frequency/3.0.0"
SOURCES = {
    "train": (IMAGENET, "train"),
    "val": (IMAGENET, "validation"),
    "test": (IMAGENET_V2, "test"),
}
"""The data set and its split that hold each of ours (AlgoPerf v0.6)."""


def find_shards(split: str, raw_dir: Path) -> tuple[StoredShard, ...]:
    """Give the shards of `train`, `val` or `test` below TensorFlow Datasets' `data_dir`, if any.

    Raises DataError.
    """
    name, stored_split = SOURCES[split]
    place = find_stored(raw_dir, name)
    if place is None:
        return ()
    shards = open_stored(place).get(stored_split, ())
    if not shards:
        raise DataError(f"{place} has no split {stored_split!r}; build the data set again")
    return shards


def walk_shards(
    shards: Sequence[StoredShard],
    classes: Sequence[str],  # noqa: ARG001 (a walk's; the data set names its labels)
    keep_class: Callable[[str], bool],  # noqa: ARG001 (a walk's; classes are mixed here)
) -> Generator[Image, None, None]:
    """Walk the images of a split."""
    position = 0
    for shard in shards:
        for example in shard.examples(undecoded=("image",)):
            content = bytes(example["image"])
            name = PurePosixPath(example["file_name"].decode(errors="replace")).name
            where = f"{shard.path}: {name}"
            wnid = shard.features["label"].int2str(int(example["label"]))
            if not WNID.fullmatch(wnid):
                raise DataError(f"{where} has the label {wnid!r}, which is no WordNet id")
            if not name.isprintable():
                raise DataError(f"{where!r}: the manifest cannot hold such a name")
            yield Image(
                wnid=wnid,
                name=name,
                n_bytes=len(content),
                position=position,
                read=lambda content=content: content,  # type: ignore[misc]
            )
            position += len(content)
