"""Small sets of random molecules in OGB's raw tables."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from workloads.ogbg.molecules import MINI, MoleculeSet
from workloads.ogbg.prepare import prepare
from workloads.ogbg.raw import TABLES

Tables = dict[str, list[str]]
SPLIT_SIZES = (40, 10, 10)


def random_tables(n_labels: int = 8, seed: int = 0) -> Tables:
    """Give the lines of every table: 60 molecules, the last of them an atom without a label."""
    generator = np.random.default_rng(seed)
    tables: Tables = {name: [] for name in TABLES}
    nodes, edges, labels = "raw/node-feat.csv.gz", "raw/edge.csv.gz", "raw/graph-label.csv.gz"
    n_molecules = sum(SPLIT_SIZES)
    for i in range(n_molecules):
        n_atoms = int(generator.integers(1, 9)) if i < n_molecules - 1 else 1
        n_bonds = int(generator.integers(0, 12)) if n_atoms > 1 else 0
        tables["raw/num-node-list.csv.gz"].append(str(n_atoms))
        tables["raw/num-edge-list.csv.gz"].append(str(n_bonds))
        for _ in range(n_atoms):
            tables[nodes].append(",".join(map(str, generator.integers(0, 119, 9))))
        for _ in range(n_bonds):
            tables[edges].append(",".join(map(str, generator.integers(0, n_atoms, 2))))
            tables["raw/edge-feat.csv.gz"].append(",".join(map(str, generator.integers(0, 5, 3))))
        choices = ["", "0", "1"] if i < n_molecules - 1 else [""]
        tables[labels].append(",".join(generator.choice(choices, n_labels)))
    order = generator.permutation(n_molecules)
    parts = np.split(order, np.cumsum(SPLIT_SIZES)[:-1])
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        tables[f"split/scaffold/{name}.csv.gz"] = [str(n) for n in part]
    return tables


def write_raw(folder: Path, tables: Mapping[str, list[str]]) -> None:
    """Write the tables below a folder."""
    for name, lines in tables.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))


def write_archive(path: Path, tables: Mapping[str, list[str]]) -> None:
    """Write the tables into an archive with OGB's folder."""
    write_raw(path.parent / "unpacked", tables)
    with zipfile.ZipFile(path, "w") as archive:
        for name in tables:
            archive.write(path.parent / "unpacked" / name, f"pcba/{name}")


def write_molecules(data_dir: Path, molecules: MoleculeSet = MINI) -> None:
    """Prepare random molecules."""
    raw = data_dir / "raw_tables"
    write_raw(raw, random_tables(molecules.n_labels))
    prepare(molecules, raw, data_dir, lambda _what, _done, _total: None)


def write_countable(data_dir: Path) -> None:
    """Prepare random molecules whose labels say whether there are more than four atoms."""
    tables = random_tables()
    for i, n_atoms in enumerate(tables["raw/num-node-list.csv.gz"]):
        labels = [str(int(int(n_atoms) > 4))] * MINI.n_labels
        labels[i % MINI.n_labels] = ""
        tables["raw/graph-label.csv.gz"][i] = ",".join(labels)
    write_raw(data_dir / "raw_tables", tables)
    prepare(MINI, data_dir / "raw_tables", data_dir, lambda _what, _done, _total: None)
