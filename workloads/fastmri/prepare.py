"""Prepares fastMRI: from the archives as they are downloaded to volumes that are quick to read.

What is written has half the rows of k-space, transformed already (`workloads.fastmri.volumes`), and
nothing is compressed: training reads a slice in one piece and transforms its columns.
"""

from __future__ import annotations

from pathlib import Path

from pacebench.errors import DataError
from pacebench.preparing import disk_errors, locked
from pacebench.spec import Report
from workloads.fastmri.files import STATE_FOLDER, volume_files
from workloads.fastmri.prepared import PreparedFolder
from workloads.fastmri.raw import RawFolder, archive_names, find_raw
from workloads.fastmri.scans import KNEES, TRAIN, VALIDATION
from workloads.fastmri.volumes import read_volume

# A slice of 640 x 368 has 1.88 MB of k-space and two images of 0.41 MB, and is written as 1.35 MB:
# half of an unpacked archive. Floats of noise hardly compress: no more than 3/4 of a packed one.
ARCHIVE_SHARE = 0.75

Part = tuple[PreparedFolder, RawFolder | None]


def needed_bytes(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    needed = 0
    with disk_errors(KNEES.folder):
        for prepared, raw in _plan(raw_dir, data_dir / KNEES.folder):
            if raw is None:
                continue
            if raw.is_archive:
                total = int(raw.n_bytes * ARCHIVE_SHARE)
            else:
                volumes = [read_volume(path, KNEES.n_side) for path in volume_files(raw.path)]
                total = sum(volume.n_bytes for volume in volumes)
            needed += max(0, total - prepared.known_bytes(raw.fingerprint))
    return needed


def prepare(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/fastmri/knee_singlecoil_{train,val}/<volume>.h5 and their manifests.

    What is there and whole is kept, so an interrupted run goes on where it was. Raises DataError.
    """
    folder = data_dir / KNEES.folder
    with disk_errors(KNEES.folder), locked(folder / STATE_FOLDER):
        parts = _plan(raw_dir, folder)
        total = sum(raw.n_bytes for _, raw in parts if raw is not None)
        done = 0
        for prepared, raw in parts:
            if raw is None:
                continue
            prepared.begin(raw.fingerprint)
            for volume in raw.walk():
                report(f"{prepared.name} {volume.name}", done + volume.position, total)
                prepared.write(volume)
            prepared.finish()
            done += raw.n_bytes
            report(prepared.name, done, total)


def _plan(raw_dir: Path, folder: Path) -> list[Part]:
    """Give the folders with the raw files they are still to be made of; None for whole ones.

    Raises DataError if raw files are missing.
    """
    parts: list[Part] = []
    missing = []
    for name in (TRAIN, VALIDATION):
        prepared, raw = PreparedFolder(folder, name, KNEES.n_side), find_raw(name, raw_dir)
        if raw is not None and raw.path.resolve() == (folder / name).resolve():
            raise DataError(
                f"{raw.path} is where prepared volumes go; give another --data-dir, or train on it "
                "as it is"
            )
        if prepared.is_whole(None if raw is None else raw.fingerprint):
            parts.append((prepared, None))
            continue
        if raw is None:
            names = ", ".join(archive_names(name))
            missing.append(f"{raw_dir} lacks {name}, unpacked or as one of {names}")
        parts.append((prepared, raw))
    if missing:
        raise DataError("; ".join(missing))
    return parts
