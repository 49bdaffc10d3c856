"""The two sets of molecules, ogbg-molpcba and the generated one of MINI: names, sizes and counts.

Source of names and sizes: OGB (ogbg-molpcba, scaffold split), TensorFlow Datasets
(ogbg_molpcba 0.1.3) and AlgoPerf v0.6 (ogbg).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pacebench.preparing import Published

SPLITS = ("train", "validation", "test")

ARCHIVE = "pcba.zip"
# As TensorFlow Datasets 4.9 has it.
ARCHIVES = {
    ARCHIVE: Published(
        n_bytes=39_533_472,
        algorithm="sha256",
        digest="0bb12da2f3ec8b0bb80564114a6174fad2df6a3a0d3c19470b3a27813a7d4e53",
        url="https://snap.stanford.edu/ogb/data/graphproppred/csv_mol_download/pcba.zip",
    )
}
STORED = "ogbg_molpcba/0.1.3"
"""The same as a data set of TensorFlow Datasets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MoleculeSet:
    """A set of molecules as it is published, and how it is found."""

    name: str
    folder: str
    """Below --data-dir."""
    n_labels: int
    sizes: Mapping[str, int]
    n_eval_train: int
    """Training molecules on which training's metric is measured, where there are so many."""
    units_per_example: tuple[int, int]
    """Nodes and edges, both ways counted, for which a batch has room, for each molecule."""
    help: str
    """What to do if it is not there."""


PCBA = MoleculeSet(
    name="ogbg",
    folder="ogbg",
    n_labels=128,
    sizes={"train": 350_343, "validation": 43_793, "test": 43_793},
    n_eval_train=43_793,
    units_per_example=(26, 56),  # AlgoPerf v0.6, ogbg
    help="workloads/ogbg/README.md says how to get it",
)
MINI = MoleculeSet(
    name="ogbg_mini",
    folder="ogbg_mini",
    n_labels=8,
    sizes={"train": 3_000, "validation": 400, "test": 400},
    n_eval_train=400,
    units_per_example=(16, 34),
    help="pacebench data mini ogbg_mini --data-dir DIR writes it",
)
