"""What training reads: arrays over all molecules, prepared by `workloads.ogbg.prepare`.

`<folder>` below --data-dir holds, each read through a map,
    sizes.npy           int32 [molecules, 2]: atoms and bonds
    node_features.npy   uint8 [atoms, 9], molecule after molecule
    edges.npy           uint16 [bonds, 2]: two atoms of the molecule, counted from 0 in it
    edge_features.npy   uint8 [bonds, 3]
    labels.npy          int8 [molecules, labels]: 0, 1, or -1 where there is none
    <split>.npy         int32: the molecules of a split
    manifest.json       counts, bytes and crc32 of these; written last
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench import manifests
from pacebench.errors import DataError
from pacebench.manifests import check_manifest, folder_of
from pacebench.spec import DataRequest
from workloads.ogbg.molecules import MoleculeSet

FORMAT = 1
ARRAYS = ("sizes", "node_features", "edges", "edge_features", "labels")
MISSING = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Molecules:
    """All molecules of a set; letters: N molecules, K labels."""

    sizes_N2: NDArray[np.int64]
    """Atoms and bonds."""
    node_features: NDArray[np.uint8]
    edges: NDArray[np.uint16]
    edge_features: NDArray[np.uint8]
    labels_NK: NDArray[np.int8]


def find_sizes(molecules: MoleculeSet, request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits; raises DataError."""
    sizes = find_manifest(molecules, request)[1]["counts"]
    n_eval_train = min(molecules.n_eval_train, sizes["train"])
    return {
        "train": sizes["train"],
        "eval_train": n_eval_train,
        "validation": sizes["validation"],
        "test": sizes["test"],
    }


def find_manifest(molecules: MoleculeSet, request: DataRequest) -> tuple[Path, dict[str, Any]]:
    """Give the folder and its manifest, whose files have the sizes stated; raises DataError."""
    folder = folder_of(request, molecules.name, molecules.folder, molecules.help)
    manifest = check_manifest(read_manifest(folder), folder, molecules.name, molecules.help)
    if not request.allow_partial:
        for split, published in molecules.sizes.items():
            n_molecules = manifest["counts"][split]
            if n_molecules != published:
                raise DataError(
                    f"{molecules.name}: {split} in {folder} has {n_molecules:,} molecules of the "
                    f"{published:,} published (--allow-partial-data takes them, for a score that "
                    f"is not a full one); {molecules.help}"
                )
    return folder, manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Give a folder's manifest, None if there is none; raises DataError if it is damaged."""
    return manifests.read_manifest(folder, FORMAT, {"counts", "raw"})


def open_molecules(folder: Path) -> Molecules:
    """Open all molecules; what is large is read when it is used."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return Molecules(
        sizes_N2=np.asarray(arrays["sizes"]).astype(np.int64),
        node_features=np.asarray(arrays["node_features"]),
        edges=np.asarray(arrays["edges"]),
        edge_features=np.asarray(arrays["edge_features"]),
        labels_NK=np.asarray(arrays["labels"]),
    )
