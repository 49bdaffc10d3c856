"""Prepares ogbg: from OGB's csv tables to arrays; `workloads.ogbg.files` says what is written.

Arrays are written aside, in <folder>/.prepare, and kept there when they are whole, so that an
interrupted run goes on; at the end they move into place.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from pacebench.errors import DataError
from pacebench.manifests import first_damaged
from pacebench.preparing import Progress, begin, check_sum, disk_errors, is_sum_due, locked
from pacebench.spec import Report
from workloads.ogbg import raw as tables
from workloads.ogbg.files import FORMAT, read_manifest
from workloads.ogbg.molecules import ARCHIVE, ARCHIVES, PCBA, STORED, MoleculeSet
from workloads.ogbg.raw import Raw, Tables, find_raw, read_column
from workloads.ogbg.stored import find_stored_molecules
from workloads.ogbg.writing import STATE_FOLDER, Writer

# What one atom, one bond and one molecule (without its labels) need.
ATOM_BYTES, BOND_BYTES, MOLECULE_BYTES = 9, 4 + 3, 8 + 4


def prepare_pcba(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/ogbg from the published archive; raises DataError."""
    prepare(PCBA, raw_dir, data_dir, report)


def needed_bytes_pcba(raw_dir: Path, data_dir: Path) -> int:
    """Give how many bytes `prepare_pcba` will still write; raises DataError."""
    folder = data_dir / PCBA.folder
    with disk_errors(PCBA.name):
        raw = _find(raw_dir)
        if _is_whole(folder, raw):
            return 0
        raw = raw or _nothing(PCBA, raw_dir)
        atoms_N, bonds_N = read_column(raw, tables.N_NODES), read_column(raw, tables.N_EDGES)
        total = int(atoms_N.sum()) * ATOM_BYTES + int(bonds_N.sum()) * BOND_BYTES
        total += len(atoms_N) * (PCBA.n_labels + MOLECULE_BYTES)
        there = sum(p.stat().st_size for p in (folder / STATE_FOLDER).glob("*.npy"))
        return max(0, total - there)


def prepare(molecules: MoleculeSet, raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write the arrays of a set. What is there and whole is kept. Raises DataError."""
    folder = data_dir / molecules.folder
    state = folder / STATE_FOLDER
    with disk_errors(molecules.name):
        raw = _find(raw_dir)
        if _is_whole(folder, raw, report):
            shutil.rmtree(state, ignore_errors=True)
            return
        raw = raw or _nothing(molecules, raw_dir)
        with locked(state):
            begin(state, f"{FORMAT} {raw.fingerprint}")
            _check_sum(raw, state, report)
            Writer(molecules, raw, folder, report).write()
        shutil.rmtree(state)


def _find(raw_dir: Path) -> Tables | None:
    """Find the molecules; raises DataError."""
    return find_raw(raw_dir) or find_stored_molecules(raw_dir)


def _check_sum(raw: Tables, state: Path, report: Report) -> None:
    """Compare the archive with its published sum, once; raises DataError."""
    if not (isinstance(raw, Raw) and raw.path.name == ARCHIVE and raw.path.is_file()):
        return
    published = ARCHIVES[ARCHIVE]
    if is_sum_due(raw.path, published, state):
        tell = Progress(report=report, total_bytes=published.n_bytes).tell
        check_sum(raw.path, published, state, partial(tell, f"checking {ARCHIVE}"))


def _is_whole(folder: Path, raw: Tables | None, report: Report | None = None) -> bool:
    """Say whether all is there, made of this raw data (or of what is gone).

    With `report` sums are compared too.
    """
    try:
        manifest = read_manifest(folder)
    except DataError:
        return False
    if manifest is None or (raw is not None and manifest["raw"] != raw.fingerprint):
        return False
    return first_damaged(folder, manifest, report) is None


def _nothing(molecules: MoleculeSet, raw_dir: Path) -> Tables:
    raise DataError(
        f"{molecules.name}: {raw_dir} holds neither {ARCHIVE} nor the folders raw and split "
        f"unpacked from it, nor what TensorFlow Datasets stores as {STORED}; {molecules.help}"
    )
