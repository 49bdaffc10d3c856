"""Batch norm over padded sequences on two devices; writes what came of it as JSON.

python -m tests.workloads.masked_norm_child FRAMEWORK OUT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


def in_torch() -> dict[str, Any]:
    """One of two ranks, with its half of the batch."""
    import torch

    from pacebench.backends.layers_torch import uniform_of_rows
    from tests.workloads import test_masked_norm as case

    torch.distributed.init_process_group("gloo")
    rank = int(os.environ["RANK"])
    half = slice(2 * rank, 2 * rank + 2)
    case.INPUTS, case.PADDINGS = case.INPUTS[half], case.PADDINGS[half]
    case.SLOPES = case.SLOPES[half]
    found = case.in_torch(case.MODES[0])
    torch.manual_seed(rank)
    drawn = uniform_of_rows(2, 5, torch.device("cpu"))
    torch.distributed.destroy_process_group()
    return {**found._asdict(), "drawn": drawn.numpy()}


def in_jax() -> dict[str, Any]:
    """Two devices of one process, with a half of the batch each."""
    import jax

    jax.config.update("jax_num_cpu_devices", 2)
    from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

    from tests.workloads import test_masked_norm as case

    mesh = Mesh(np.array(jax.devices()), ("batch",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    for name in ("INPUTS", "PADDINGS", "SLOPES"):
        setattr(case, name, jax.device_put(getattr(case, name), sharding))
    assert len(case.INPUTS.addressable_shards) == 2
    return case.in_flax(case.MODES[0])._asdict()


if __name__ == "__main__":
    arrays = {"torch": in_torch, "jax": in_jax}[sys.argv[1]]()
    Path(sys.argv[2]).write_text(json.dumps({k: v.tolist() for k, v in arrays.items()}))
