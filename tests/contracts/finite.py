"""Whether a trial's whole state is made of finite numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pacebench.trial import Trial


def arrays_of(tree: Any) -> Iterator[np.ndarray]:
    """All arrays in a tree of a checkpoint."""
    if isinstance(tree, np.ndarray):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from arrays_of(value)


def is_finite(trial: Trial) -> bool:
    """Whether all that a checkpoint would hold is finite."""
    floats = [a for a in arrays_of(trial.backend.save_state()) if a.dtype.kind == "f"]
    assert floats
    return all(np.isfinite(a).all() for a in floats)
