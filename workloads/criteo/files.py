"""Finds the shards of a click log that is prepared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from workloads.criteo.clicks import ClickLog
from workloads.criteo.shards import SUFFIX, read_note

_SHARD = re.compile(r"day_([0-9]+)_([0-9]+)\.rows")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A finished shard."""

    path: Path
    n_rows: int


def find_sizes(log: ClickLog, request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits found; raises DataError."""
    return sizes_of(log, find_shards(log, request))


def sizes_of(log: ClickLog, shards: dict[str, list[Shard]]) -> dict[str, int]:
    """Give the sizes of the splits."""
    sizes = {split: sum(shard.n_rows for shard in shards[split]) for split in SPLITS}
    return {**sizes, "eval_train": min(sizes["train"], log.sizes["eval_train"])}


def find_shards(log: ClickLog, request: DataRequest) -> dict[str, list[Shard]]:
    """Give the shards of `train`, `validation` and `test`, sorted; raises DataError.

    With `allow_partial` fewer rows will do, and where one of validation and test is missing, the
    other stands for it, which the sizes then show.
    """
    shards = _listed(log, _find_folder(log, request))
    for split, other in (("validation", "test"), ("test", "validation")):
        if request.allow_partial and not shards[split]:
            shards[split] = shards[other]
    for split in SPLITS:
        n = sum(shard.n_rows for shard in shards[split])
        if n == 0 or (n != log.sizes[split] and not request.allow_partial):
            partial = "" if n == 0 else " (--allow-partial-data takes them)"
            raise DataError(
                f"{log.name}: {split} has {n:,} of the {log.sizes[split]:,} published rows"
                f"{partial}; 'pacebench data prepare' goes on where it was interrupted; {log.help}"
            )
    return shards


def _listed(log: ClickLog, folder: Path) -> dict[str, list[Shard]]:
    found: dict[tuple[int, int], Path] = {}
    for path in folder.iterdir():
        matched = _SHARD.fullmatch(path.name)
        if matched:
            found[int(matched[1]), int(matched[2])] = path
    shards: dict[str, list[Shard]] = {split: [] for split in SPLITS}
    for (day, part), path in sorted(found.items()):
        if day > log.n_train_days:
            raise DataError(f"{path}: {log.name} has no day {day}; delete it")
        note = read_note(path)
        if note is not None:
            split = log.split_of(day, part)
            shards[split].append(Shard(path=path, n_rows=note.n_rows))
    return shards


def _find_folder(log: ClickLog, request: DataRequest) -> Path:
    if request.data_dir is None:
        raise DataError(
            f"{log.name} needs --data-dir DIR, with its rows in DIR/{log.folder}; {log.help}"
        )
    for folder in (request.data_dir / log.folder, request.data_dir):
        if folder.is_dir() and any(folder.glob(f"day_*{SUFFIX}")):
            return folder
    raise DataError(f"{log.name}: no day_*{SUFFIX} in {request.data_dir / log.folder}; {log.help}")
