"""Writes what training reads, from checked tables: arrays aside first, then all into place."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from pacebench.manifests import MANIFEST, crc_of
from pacebench.spec import Report
from workloads.ogbg import raw as tables
from workloads.ogbg.files import ARRAYS, FORMAT, MISSING
from workloads.ogbg.molecules import SPLITS, MoleculeSet
from workloads.ogbg.raw import Tables, read_column, whole_numbers

STATE_FOLDER = ".prepare"
"""Below the data's folder: what a preparation is on the way with."""
MAX_ATOMS = 1 << 16  # an edge's end is a uint16

_log = logging.getLogger(__name__)

Convert = Callable[[NDArray[np.float32], str, int], NDArray[Any]]
"""convert(values, name of the table, number of the first line) -> checked values."""


class Writer:
    """Writes all arrays of one set."""

    def __init__(self, molecules: MoleculeSet, raw: Tables, folder: Path, report: Report) -> None:
        self._molecules = molecules
        self._raw = raw
        self._folder = folder
        self._state = folder / STATE_FOLDER
        self._report = report
        self._done_bytes = 0

    def write(self) -> None:
        """Write the arrays, move them into place, and write the manifest."""
        sizes_N2 = self._sizes()
        n_atoms, n_bonds = sizes_N2.sum(axis=0).tolist()
        splits = tables.check_splits(self._raw, len(sizes_N2))
        self._save("sizes", sizes_N2.astype(np.int32))
        for split in SPLITS:
            self._save(split, splits[split].astype(np.int32))
        self._convert("node_features", tables.NODES, (n_atoms, 9), np.uint8, _bytes)
        self._convert("edges", tables.EDGES, (n_bonds, 2), np.uint16, _Ends(sizes_N2))
        self._convert("edge_features", tables.EDGE_FEATURES, (n_bonds, 3), np.uint8, _bytes)
        shape = (len(sizes_N2), self._molecules.n_labels)
        self._convert("labels", tables.LABELS, shape, np.int8, _labels)
        self._finish(sizes_N2, splits)

    def _sizes(self) -> NDArray[np.int64]:
        """Give atoms and bonds of every molecule."""
        columns = []
        for table in (tables.N_NODES, tables.N_EDGES):
            columns.append(read_column(self._raw, table))
        names = [self._raw.name_of(t) for t in (tables.N_NODES, tables.N_EDGES)]
        if len(columns[0]) != len(columns[1]):
            raise DataError(
                f"{names[0]} has {len(columns[0]):,} lines, {names[1]} has {len(columns[1]):,}"
            )
        is_wrong = (columns[0] < 1) | (columns[0] >= MAX_ATOMS)
        if is_wrong.any():
            line = int(is_wrong.argmax())
            raise DataError(
                f"line {line + 1:,} of {names[0]}: a molecule of {columns[0][line]:,} atoms; 1 to "
                f"{MAX_ATOMS - 1:,} are possible"
            )
        return np.stack(columns, axis=1)

    def _convert(
        self, name: str, table: str, shape: tuple[int, int], dtype: Any, convert: Convert
    ) -> None:
        """Write a table as an array, unless that was done before."""
        place, where = self._state / f"{name}.npy", self._raw.name_of(table)
        if not place.is_file():
            aside = place.with_suffix(".part")
            array = np.lib.format.open_memmap(aside, mode="w+", dtype=dtype, shape=shape)
            n_rows = 0
            for line, values in self._raw.rows(table, shape[1], partial(self._tell, table)):
                n_rows = line - 1 + len(values)
                if n_rows > shape[0]:
                    break
                array[line - 1 : n_rows] = convert(values, where, line)
            if n_rows != shape[0]:
                more = "more" if n_rows > shape[0] else f"{n_rows:,}"
                raise DataError(
                    f"{where} has {more} lines, not the {shape[0]:,} that the other tables ask for"
                )
            array.flush()
            aside.replace(place)
        self._done_bytes += self._raw.sizes[table]

    def _tell(self, table: str, position: int) -> None:
        total = sum(self._raw.sizes.values())
        self._report(table.rpartition("/")[2], min(self._done_bytes + position, total), total)

    def _save(self, name: str, array: NDArray[Any]) -> None:
        np.save(self._state / f"{name}.npy", array)

    def _finish(self, sizes_N2: NDArray[np.int64], splits: dict[str, NDArray[np.int64]]) -> None:
        (self._folder / MANIFEST).unlink(missing_ok=True)
        files = {}
        for name in (f"{stem}.npy" for stem in (*ARRAYS, *SPLITS)):
            path = self._folder / name
            (self._state / name).replace(path)
            files[name] = path.stat().st_size, crc_of(path)
        labels_NK = np.load(self._folder / "labels.npy", mmap_mode="r")
        notes = {
            "molecules": len(sizes_N2),
            "without_bonds": int((sizes_N2[:, 1] == 0).sum()),
            "without_labels": int((labels_NK == MISSING).all(axis=1).sum()),
        }
        _log.info(
            "%s molecules, of which %s have no bond and %s no label; all are kept",
            *(f"{n:,}" for n in notes.values()),
        )
        manifest = {
            "format": FORMAT,
            "counts": {**{split: len(splits[split]) for split in SPLITS}, **notes},
            "files": files,
            "raw": self._raw.fingerprint,
        }
        os.sync()  # the files first: a manifest says that they are there
        aside = self._state / MANIFEST
        aside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        aside.replace(self._folder / MANIFEST)


class _Ends:
    """Checks the ends of bonds, which come molecule after molecule."""

    def __init__(self, sizes_N2: NDArray[np.int64]) -> None:
        self._atoms_N = sizes_N2[:, 0]
        self._stops_N = np.cumsum(sizes_N2[:, 1])

    def __call__(
        self, values: NDArray[np.float32], name: str, first_line: int
    ) -> NDArray[np.int64]:
        """Give the ends; raises DataError where the molecule has no such atom."""
        ends_M2 = whole_numbers(values, MAX_ATOMS, name, first_line)
        lines_M = np.arange(first_line - 1, first_line - 1 + len(ends_M2))
        molecules_M = np.searchsorted(self._stops_N, lines_M, side="right")
        atoms_M = self._atoms_N[molecules_M]
        is_wrong_M = ends_M2.max(axis=1) >= atoms_M
        if is_wrong_M.any():
            row = int(is_wrong_M.argmax())
            raise DataError(
                f"line {first_line + row:,} of {name}: a bond to atom {ends_M2[row].max()} of "
                f"molecule {molecules_M[row]:,}, which has the atoms 0 to {atoms_M[row] - 1}"
            )
        return ends_M2


def _bytes(values: NDArray[np.float32], name: str, first_line: int) -> NDArray[np.int64]:
    """Check numbers that describe atoms and bonds (OGB: all below 120)."""
    return whole_numbers(values, 256, name, first_line)


def _labels(values: NDArray[np.float32], name: str, first_line: int) -> NDArray[np.int64]:
    """Check labels, and mark the missing ones."""
    is_missing = np.isnan(values)
    labels = whole_numbers(np.where(is_missing, 0, values), 2, name, first_line)
    return np.where(is_missing, MISSING, labels)
