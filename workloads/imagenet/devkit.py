"""The labels of ILSVRC-2012's validation images, from its devkit (task 1 and 2)."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

from pacebench.errors import DataError
from workloads.imagenet.archives import members_of

# Names and structure as the devkit's own readme.txt describes them (sections 2 and 3.1).
META_FILE = "ILSVRC2012_devkit_t12/data/meta.mat"
GROUND_TRUTH_FILE = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"


def read_devkit(devkit: Path) -> list[str]:
    """Give the WordNet id of every validation image, in the order of their numbers from 1."""
    wanted = (META_FILE, GROUND_TRUTH_FILE)
    found = {m.name: m.read() for m in members_of(devkit) if m.name in wanted}
    for name in wanted:
        if name not in found:
            raise DataError(f"{devkit} lacks {name}")
    wnid_by_id = _read_leaves(found[META_FILE], f"{devkit}: {META_FILE}")
    wnids = []
    for i, line in enumerate(found[GROUND_TRUTH_FILE].splitlines(), start=1):
        word = line.decode("ascii", "replace").strip()
        if not (word.isascii() and word.isdigit() and int(word) in wnid_by_id):
            raise DataError(
                f"{devkit}: {GROUND_TRUTH_FILE}: line {i} is {word[:20]!r}; expected is an "
                f"ILSVRC2012_ID from 1 to {len(wnid_by_id):,}"
            )
        wnids.append(wnid_by_id[int(word)])
    return wnids


def _read_leaves(content: bytes, where: str) -> dict[int, str]:
    """Give WordNet ids by ILSVRC2012_ID of the synsets without children, numbered 1 to n."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    file: Any = io.BytesIO(content)  # loadmat's stubs know paths only
    try:
        synsets = loadmat(file, squeeze_me=True)["synsets"].reshape(-1)
        rows = zip(synsets["ILSVRC2012_ID"], synsets["WNID"], synsets["num_children"], strict=True)
        leaves = {int(i): str(wnid) for i, wnid, n_children in rows if int(n_children) == 0}
    except (
        *(MatReadError, ValueError, TypeError, KeyError, IndexError, AttributeError),
        *(NotImplementedError, OSError, EOFError, zlib.error),
    ) as error:
        raise DataError(f"{where} is not the devkit's table of synsets ({error})") from error
    if not leaves or sorted(leaves) != list(range(1, len(leaves) + 1)):
        raise DataError(
            f"{where}: the ILSVRC2012_IDs of its {len(leaves):,} synsets without children are not "
            "the numbers from 1"
        )
    return leaves
