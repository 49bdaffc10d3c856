"""What ImageNet's archives hold: every image with its class, in the order of the archive."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pacebench.errors import DataError
from workloads.imagenet.archives import Member, members_of, members_within
from workloads.imagenet.devkit import GROUND_TRUTH_FILE, read_devkit

TEST_FOLDER = "imagenetv2-matched-frequency-format-val"
"""The folder inside ImageNet-v2's archive; below it one folder per label, 0 to 999."""

TRAIN_MEMBER = re.compile(r"(n[0-9]{8})\.tar")
VAL_MEMBER = re.compile(r"ILSVRC2012_val_([0-9]{8})\.JPEG")
TEST_MEMBER = re.compile(rf"{TEST_FOLDER}/([0-9]{{1,4}})/([0-9A-Za-z_-]+\.jpeg)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image of the raw download, and where it belongs."""

    wnid: str
    name: str
    n_bytes: int
    position: int
    """How many bytes of the split's raw files come before it."""
    read: Callable[[], bytes]
    file: Path | None = None
    """The raw file that may be linked, if it is not a member of an archive."""


def walk_train(
    archive: Path,
    classes: Sequence[str],  # noqa: ARG001 (a walk's; they are what this one finds)
    keep_class: Callable[[str], bool],
) -> Generator[Image, None, None]:
    """Walk the archive of archives, one for each class; a class that is kept is not read."""
    for outer in members_of(archive):
        match = _matched(TRAIN_MEMBER, outer, "<wnid>.tar")
        wnid = match[1]
        if keep_class(wnid):
            continue
        pattern = re.compile(rf"{wnid}_[0-9]+\.JPEG")
        n_images = 0
        for member in members_within(outer):
            _matched(pattern, member, f"{wnid}_<number>.JPEG")
            yield _image(wnid, member.name, member)
            n_images += 1
        if n_images == 0:
            raise DataError(f"{archive}: {outer.name} holds no image")


def walk_val(
    archive: Path,
    devkit: Path,
    classes: Sequence[str],  # noqa: ARG001 (a walk's; the devkit names the classes)
    keep_class: Callable[[str], bool],  # noqa: ARG001 (a walk's; this archive knows no classes)
) -> Generator[Image, None, None]:
    """Walk the flat archive; the devkit's line i is the label of image i."""
    wnids = read_devkit(devkit)
    n_images = n_labelled = 0
    for member in members_of(archive):
        match = _matched(VAL_MEMBER, member, "ILSVRC2012_val_<8 digits>.JPEG")
        number = int(match[1])
        n_images += 1
        if 1 <= number <= len(wnids):
            n_labelled += 1
            yield _image(wnids[number - 1], member.name, member)
    if not n_images == n_labelled == len(wnids):
        raise DataError(
            f"{devkit}: {GROUND_TRUTH_FILE} has {len(wnids):,} lines for the {n_images:,} images "
            f"of {archive.name}: {len(wnids) - n_labelled:,} lines have no image, "
            f"{n_images - n_labelled:,} images have no line"
        )


def walk_test(
    archive: Path,
    classes: Sequence[str],
    keep_class: Callable[[str], bool],  # noqa: ARG001 (a walk's; a small archive is walked whole)
) -> Generator[Image, None, None]:
    """Walk ImageNet-v2, whose folders are named by label: label i is the i-th class, sorted."""
    for member in members_of(archive):
        match = _matched(TEST_MEMBER, member, f"{TEST_FOLDER}/<label>/<hash>.jpeg")
        wnid = class_of(match[1], classes, f"{archive}: {member.name}")
        yield _image(wnid, match[2], member)


def _matched(pattern: re.Pattern[str], member: Member, expected: str) -> re.Match[str]:
    match = pattern.fullmatch(member.name)
    if match is None:
        raise DataError(f"{member.where}: unexpected member {member.name!r}; all are {expected}")
    return match


def _image(wnid: str, name: str, member: Member) -> Image:
    return Image(
        wnid=wnid, name=name, n_bytes=member.n_bytes, position=member.position, read=member.read
    )


def class_of(label: str, classes: Sequence[str], where: str) -> str:
    """Give the class of a folder that is named by its label; raises DataError."""
    if int(label) >= len(classes):
        raise DataError(f"{where}: no class has label {int(label)}: train has {len(classes):,}")
    return classes[int(label)]
