"""What each trial runs on: the options --device, --devices, --jobs and --compile as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pacebench.study import Resources


def resources_for(
    device: str, *, jobs: int, n_devices: int = 1, compile_mode: str = "auto"
) -> Resources:
    """Choose the device ("auto" is a GPU if there is one) and divide the cores among the jobs.

    Raises PlanError if there is no such device, or fewer cores than jobs.
    """
    from pacebench.environment import usable_cores, visible_gpus
    from pacebench.errors import PlanError
    from pacebench.study import Resources

    if device == "auto":
        device = "gpu" if visible_gpus() else "cpu"
    if device == "gpu" and not visible_gpus():
        raise PlanError("no NVIDIA GPU found; use --device cpu, or see `pacebench doctor`")
    n_cores = len(usable_cores()) // jobs
    if n_cores == 0:
        raise PlanError(f"--jobs {jobs} is more than the {len(usable_cores())} cores found")
    is_compiled = compile_mode == "on" or (compile_mode == "auto" and device == "gpu")
    return Resources(device=device, n_devices=n_devices, n_cores=n_cores, is_compiled=is_compiled)
