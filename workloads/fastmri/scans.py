"""The data sets of fastmri as they are published or generated; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TRAIN = "knee_singlecoil_train"
VALIDATION = "knee_singlecoil_val"
"""The folders of volumes, as fastMRI names them; its test folder has no targets and is not used."""
CLIP = 6.0
"""Normalised pixels are cut off at so many deviations (AlgoPerf v0.6, fastmri)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanSet:
    """A data set, and how it is found."""

    name: str
    folder: str
    """Below --data-dir."""
    n_side: int
    """Of the images."""
    n_validation_volumes: int
    """So many of the validation folder, by name; the others are the test set."""
    sizes: Mapping[str, int]
    """Slices by split."""
    help: str
    """What to do if it is not there."""


KNEES = ScanSet(
    name="fastmri",
    folder="fastmri",
    n_side=320,
    # AlgoPerf v0.6: the first 100 of the 199 volumes for validation, the others for test.
    n_validation_volumes=100,
    # AlgoPerf v0.6: slices; training's metric is measured on 14 batches of 256.
    sizes={"train": 34_742, "eval_train": 3_584, "validation": 3_554, "test": 3_581},
    help="workloads/fastmri/README.md says how to get it",
)

# Ours, in the proportions of the knees: twice as many rows as the image has, a few more columns.
N_PHANTOM_SLICES = 10
"""Of each generated volume."""
N_PHANTOMS = {TRAIN: 48, VALIDATION: 20}
PHANTOM_WIDTHS = (54, 56, 60)
"""Columns of k-space; drawn for each volume."""
PHANTOMS = ScanSet(
    name="fastmri_mini",
    folder="fastmri_mini",
    n_side=48,
    n_validation_volumes=10,
    sizes={"train": 480, "eval_train": 100, "validation": 100, "test": 100},
    help="pacebench data mini fastmri_mini --data-dir DIR writes it",
)
