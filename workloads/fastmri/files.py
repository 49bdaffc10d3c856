"""Finds the volumes of a data set in fastMRI's folders: <folder>/knee_singlecoil_train/*.h5.

A folder that `pacebench data prepare` has finished has a manifest beside it, <folder>/<name>.tsv,
with one line per volume: file name, slices, bytes, crc32. Without one the folder is listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from workloads.fastmri.scans import TRAIN, VALIDATION, ScanSet
from workloads.fastmri.volumes import Volume, read_volume

STATE_FOLDER = ".prepare"
"""Beside the folders: what an interrupted `prepare` has done."""


def find_sizes(scans: ScanSet, request: DataRequest) -> dict[str, int]:
    """Give the number of slices of each split; raises DataError."""
    return sizes_of(scans, find_volumes(scans, request))


def sizes_of(scans: ScanSet, found: Mapping[str, Sequence[Volume]]) -> dict[str, int]:
    """Give the sizes of the splits found."""
    sizes = {split: count_slices(volumes) for split, volumes in found.items()}
    sizes["eval_train"] = min(sizes["train"], scans.sizes["eval_train"])
    return {split: sizes[split] for split in ("train", "eval_train", "validation", "test")}


def count_slices(volumes: Sequence[Volume]) -> int:
    """Give how many slices some volumes have."""
    return sum(volume.n_slices for volume in volumes)


def find_volumes(scans: ScanSet, request: DataRequest) -> dict[str, Sequence[Volume]]:
    """Give the volumes of `train`, `validation` and `test`, sorted by name; raises DataError.

    With `allow_partial` fewer will do, and a test set without volumes is replaced by the validation
    set, which the sizes then show.
    """
    folder = _find_folder(scans, request)
    train = _list_folder(scans, folder, TRAIN)
    others = _list_folder(scans, folder, VALIDATION)
    n = scans.n_validation_volumes
    found = {"train": train, "validation": others[:n], "test": others[n:]}
    if request.allow_partial:
        return found | {"test": found["test"] or found["validation"]}
    for split, volumes in found.items():
        if count_slices(volumes) != scans.sizes[split]:
            raise DataError(
                f"{scans.name}: {folder} has {count_slices(volumes):,} slices of the "
                f"{scans.sizes[split]:,} published for {split} (--allow-partial-data takes them, "
                f"for a score that is not a full one); {scans.help}"
            )
    return found


def _find_folder(scans: ScanSet, request: DataRequest) -> Path:
    if request.data_dir is None:
        raise DataError(
            f"{scans.name} needs --data-dir DIR, with its volumes in DIR/{scans.folder}; "
            f"{scans.help}"
        )
    for folder in (request.data_dir / scans.folder, request.data_dir):
        if (folder / TRAIN).is_dir():
            return folder
    raise DataError(
        f"{scans.name}: no folder {TRAIN} in {request.data_dir / scans.folder}; {scans.help}"
    )


def _list_folder(scans: ScanSet, folder: Path, name: str) -> list[Volume]:
    manifest = folder / f"{name}.tsv"
    if manifest.is_file():
        paths = _from_manifest(folder / name, manifest)
    elif (folder / STATE_FOLDER / f"{name}.journal").is_file():
        raise DataError(
            f"{scans.name}: {folder / name} is not whole: 'pacebench data prepare' was "
            "interrupted there; give the same command again"
        )
    else:
        paths = volume_files(folder / name)
    if not paths:
        raise DataError(f"{scans.name}: no volumes (*.h5) in {folder / name}; {scans.help}")
    return [read_volume(path, scans.n_side) for path in paths]


def volume_files(folder: Path) -> list[Path]:
    """Give the h5 files of a folder, sorted; hidden ones are an operating system's."""
    return sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))


def _from_manifest(folder: Path, manifest: Path) -> list[Path]:
    paths = []
    for name, entry in read_manifest(manifest).items():
        path = folder / name
        n_bytes = path.stat().st_size if path.is_file() else None
        if n_bytes != entry.n_bytes:
            there = "is not there" if n_bytes is None else f"has {n_bytes:,} bytes"
            raise DataError(
                f"{path} {there}; it was prepared with {entry.n_bytes:,}: run 'pacebench data "
                "prepare' again"
            )
        paths.append(path)
    return paths


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of a manifest or a journal."""

    n_slices: int
    n_bytes: int
    crc32: str

    def line(self, name: str) -> str:
        """Give the line of a volume."""
        return f"{name}\t{self.n_slices}\t{self.n_bytes}\t{self.crc32}\n"


def read_manifest(manifest: Path) -> dict[str, Entry]:
    """Give the volumes of a manifest by file name, in its order; raises DataError."""
    try:
        rows = [line.split("\t") for line in manifest.read_text(encoding="utf-8").splitlines()]
        return {
            name: Entry(n_slices=int(n_slices), n_bytes=int(n_bytes), crc32=crc32)
            for name, n_slices, n_bytes, crc32 in rows
        }
    except ValueError as error:
        raise DataError(f"{manifest} is damaged ({error}); delete it and prepare again") from error
