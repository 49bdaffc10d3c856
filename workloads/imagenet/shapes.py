"""What the generated data set of the MINI workloads holds; `workloads.imagenet.mini` draws it."""

from __future__ import annotations

FOLDER = "imagenet_mini"
N_SIDE = 64
PATTERNS = ("checks", "dots", "rings", "stripes", "waves")
SCALES = ("coarse", "fine")
CLASSES = tuple(sorted(f"{pattern}_{scale}" for pattern in PATTERNS for scale in SCALES))
N_PER_CLASS = {"train": 500, "val": 100, "test": 100}
