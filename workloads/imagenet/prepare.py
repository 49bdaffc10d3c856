"""Prepares ImageNet: from the archives as they are downloaded to class folders with manifests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pacebench.errors import DataError
from pacebench.preparing import Progress, check_sum, disk_errors, is_sum_due, locked
from pacebench.spec import Report
from workloads.imagenet.checksums import PUBLISHED
from workloads.imagenet.raw import ARCHIVES, RawSplit, find_raw
from workloads.imagenet.split_folder import STATE_FOLDER, SplitFolder
from workloads.imagenet.stored import SOURCES

FOLDER = "imagenet"
"""Below --data-dir."""
RAW_FILES = tuple(name for names in ARCHIVES.values() for name in names)
# A file ends inside a block of 4 KiB, half a block wasted: 2 % of 110 KB, the mean of an image.
DISK_FACTOR = 1.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A split as it is on the disk and in the raw download."""

    split: SplitFolder
    raw: RawSplit | None
    is_whole: bool


def needed_bytes(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    needed = 0
    with disk_errors(FOLDER):
        for part in _plan(raw_dir, data_dir / FOLDER):
            if part.is_whole or part.raw is None:
                continue
            folder, n_bytes = part.raw.folder, int(part.raw.n_bytes * DISK_FACTOR)
            if folder is None or folder.stat().st_dev != _device_of(data_dir):
                needed += part.split.missing_bytes(n_bytes, part.raw.fingerprint)
    return needed


def prepare(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/imagenet/{train,val,test}/<wnid>/<image> and their manifests.

    What is there and whole is kept, so an interrupted run goes on where it was. Raises DataError.
    """
    folder = data_dir / FOLDER
    with disk_errors(FOLDER), locked(folder / STATE_FOLDER):
        _prepare(raw_dir, folder, report)


def _prepare(raw_dir: Path, folder: Path, report: Report) -> None:
    parts = _plan(raw_dir, folder)
    raws = [part.raw for part in parts if part.raw is not None and not part.is_whole]
    notes = folder / STATE_FOLDER
    archives = [path for raw in raws for path in raw.archives]
    due = [path for path in archives if is_sum_due(path, PUBLISHED.get(path.name), notes)]
    n_sum_bytes = sum(path.stat().st_size for path in due)
    progress = Progress(report=report, total_bytes=n_sum_bytes + sum(raw.n_bytes for raw in raws))
    for path in due:
        check_sum(
            path, PUBLISHED[path.name], notes, partial(progress.tell, f"checking {path.name}")
        )
        progress.done_bytes += path.stat().st_size
    classes: list[str] | None = None
    for part in parts:
        if part.is_whole and part.split.is_whole(_fingerprint(part.raw), classes):
            found = part.split.classes()
        elif part.raw is None:
            raise DataError(_missing(part.split.name, raw_dir))
        else:
            # A split that was whole until the classes of train changed was not counted yet.
            progress.total_bytes += part.raw.n_bytes if part.is_whole else 0
            found = _write_split(part.split, part.raw, classes, progress)
        classes = found if classes is None else classes


def _plan(raw_dir: Path, folder: Path) -> list[Part]:
    """Give the splits, and which are whole; raises DataError if raw files are missing for one."""
    parts, missing = [], []
    classes: list[str] | None = None
    for name in ARCHIVES:
        split, raw = SplitFolder(folder, name), find_raw(name, raw_dir)
        if name == "train":
            classes = split.classes()
        is_whole = split.is_whole(_fingerprint(raw), classes)
        if name == "train" and not is_whole:
            classes = None  # they may change
        if raw is None and not is_whole:
            missing.append(_missing(name, raw_dir))
        parts.append(Part(split=split, raw=raw, is_whole=is_whole))
    if missing:
        raise DataError("; ".join(missing))
    return parts


def _fingerprint(raw: RawSplit | None) -> str | None:
    return None if raw is None else raw.fingerprint


def _missing(split: str, raw_dir: Path) -> str:
    names = [name for name in ARCHIVES[split] if not (raw_dir / name).is_file()]
    return (
        f"{raw_dir} lacks {' and '.join(names)} for imagenet's {split} (class folders in "
        f"{raw_dir / split} or TensorFlow Datasets' {SOURCES[split][0]} would do as well)"
    )


def _write_split(
    split: SplitFolder, raw: RawSplit, classes: Sequence[str] | None, progress: Progress
) -> list[str]:
    """Write what is missing of a split, then its manifest; gives its classes."""
    split.begin(raw.fingerprint)
    known = None if classes is None else frozenset(classes)
    wnid = None
    with closing(raw.walk(classes or (), split.keep_class)) as images:
        for image in images:
            progress.tell(f"{split.name} {image.wnid}", image.position)
            if known is not None and image.wnid not in known:
                raise DataError(
                    f"{split.name}: class {image.wnid} of {image.name} is none of the "
                    f"{len(known):,} classes of train"
                )
            if raw.is_by_class and wnid not in (None, image.wnid):
                split.end_class(wnid)
            wnid = image.wnid
            split.write(image)
        if raw.is_by_class and wnid is not None:
            split.end_class(wnid)
    progress.done_bytes += raw.n_bytes
    found = split.finish(classes)
    progress.tell(split.name, 0)
    return found


def _device_of(path: Path) -> int:
    """Give the device of a folder that may not be there yet."""
    while not path.exists():
        path = path.parent
    return path.stat().st_dev
