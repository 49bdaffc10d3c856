"""AlgoPerf's `jax_sharding_utils` as submissions see it: one mesh axis "batch" over all devices."""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def get_mesh() -> Mesh:
    """Give the mesh of all devices along the axis "batch"."""
    return Mesh(jax.devices(), ("batch",))


def get_replicate_sharding(mesh: Mesh | None = None) -> NamedSharding:
    """Give the sharding of an array that every device holds whole."""
    return NamedSharding(mesh or get_mesh(), PartitionSpec())


def get_batch_dim_sharding(mesh: Mesh | None = None) -> NamedSharding:
    """Give the sharding of an array whose leading axis is divided over the devices."""
    return NamedSharding(mesh or get_mesh(), PartitionSpec("batch"))


def replicate(tree: Any) -> Any:
    """Put a tree of arrays on every device."""
    return jax.device_put(tree, get_replicate_sharding())


def shard_along_batch_dim(tree: Any) -> Any:
    """Divide the leading axis of a tree's arrays over the devices."""
    return jax.device_put(tree, get_batch_dim_sharding())
