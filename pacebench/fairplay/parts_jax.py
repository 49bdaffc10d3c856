"""What a probe needs of jax: the parameters that are evaluated, and what must stay."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from pacebench.backends.base import Run

MUST_STAY = (
    "jax.block_until_ready",
    "jax._src.api.block_until_ready",
    "jax._src.array.ArrayImpl.block_until_ready",
    "jax._src.array.ArrayImpl.is_ready",
    "jax.device_get",
    "jax.device_put",
    "jax.jit",
    "jax.local_devices",
    "jax.random.PRNGKey",
    "jax.random.fold_in",
    "jax.tree.map",
    "jax.tree.leaves",
)
"""Functions by which the clock waits and by which models are evaluated."""


def initial(run: Run) -> list[NDArray[Any]]:
    """Give copies of the parameters that a submission is handed, in the order of their tree."""
    return _copies(run.params)


def evaluated(run: Run, state: Any) -> list[NDArray[Any]]:  # noqa: ARG001 (torch's lie in the run)
    """Give copies of the parameters that would be evaluated now."""
    return _copies(state["params"])


def _copies(params: Any) -> list[NDArray[Any]]:
    return [np.array(leaf, dtype=np.float32) for leaf in jax.tree.leaves(params)]
