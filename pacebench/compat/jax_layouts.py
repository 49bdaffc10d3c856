"""The two layouts that AlgoPerf's jax submissions expect of parameters and batches.

Letters: N devices, B global batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from pacebench.backends.base import Run
from pacebench.spec import Batch

BATCH_AXIS = "batch"
BATCH_NORM_AVERAGES = "batch_stats"
"""The collection of flax that holds running averages."""


class Layout(Protocol):
    """How arrays lie on the devices while a submission trains."""

    def placed(self, tree: Any) -> Any:
        """Give copies of the backend's arrays as the submission expects them."""
        ...

    def placed_batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Give the backend's batches as the submission expects them."""
        ...

    def evaluable(self, params: Any, model_state: Any) -> tuple[Any, Any]:
        """Give the submission's parameters and state as the backend evaluates them."""
        ...


class ShardedLayout:
    """Parameters whole on every device, batches divided: AlgoPerf's since v0.6, and ours."""

    def __init__(self, run: Run) -> None:
        self._replicated = run.device
        self._by_batch = NamedSharding(run.device.mesh, PartitionSpec(BATCH_AXIS))

    def placed(self, tree: Any) -> Any:
        """Give copies, which a step may overwrite."""
        return jax.tree.map(jnp.copy, tree)

    def placed_batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Give the batches as jax arrays; what is on its devices already is not copied."""
        return (jax.device_put(batch, self._by_batch) for batch in batches)

    def evaluable(self, params: Any, model_state: Any) -> tuple[Any, Any]:
        """Give both on every device; arrays that are there already are not copied."""
        return jax.device_put((params, model_state), self._replicated)


class PmapLayout:
    """A leading axis of devices on everything: [N, …] parameters and [N, B/N, …] batches.

    What is evaluated are the first device's parameters, with batch norm's averages averaged over
    the devices (AlgoPerf v0.5 does so before each evaluation); training keeps its own of each.
    """

    def __init__(self, run: Run) -> None:
        self._n_devices = run.n_devices
        self._by_device = NamedSharding(run.device.mesh, PartitionSpec(BATCH_AXIS))
        self._divided = jax.jit(self._divide, out_shardings=self._by_device)
        self._evaluable = jax.jit(_without_device_axis, out_shardings=run.device)

    def placed(self, tree: Any) -> Any:
        """Give every device its copy."""
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * self._n_devices), tree)
        return jax.device_put(stacked, self._by_device)

    def placed_batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Give the batches divided along a new leading axis."""
        return map(self._divided, batches)

    def evaluable(self, params: Any, model_state: Any) -> tuple[Any, Any]:
        """Give copies without the axis of devices."""
        return self._evaluable(params, model_state)

    def _divide(self, batch: Batch) -> Batch:
        return jax.tree.map(lambda a: a.reshape(self._n_devices, -1, *a.shape[1:]), batch)


def _without_device_axis(params: Any, model_state: Mapping[str, Any]) -> tuple[Any, Any]:
    def first(tree: Any) -> Any:
        return jax.tree.map(lambda leaf_N: leaf_N[0], tree)

    state = {
        name: jax.tree.map(lambda leaf_N: leaf_N.mean(axis=0), tree)
        if name == BATCH_NORM_AVERAGES
        else first(tree)
        for name, tree in model_state.items()
    }
    return first(params), state
