"""What a trial ran on: versions, processor, memory, and a hardware class to compare by."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import psutil

from pacebench import __version__

PACKAGES = ("numpy", "torch", "jax", "jaxlib", "flax", "optax", "schedulefree", "scikit-learn")


def describe_machine() -> dict[str, Any]:
    """Describe processor, memory, operating system and installed versions in JSON values."""
    return {
        "pacebench": __version__,
        "python": platform.python_version(),
        "operating_system": platform.platform(),
        "processor": processor_name(),
        "n_cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": {name: v for name in PACKAGES if (v := version_of(name))},
    }


def hardware_class(device: str, n_devices: int, n_cores: int) -> str:
    """Name what a trial ran on, so that times of different hardware are not mixed unseen."""
    if device == "gpu":
        names = gpu_names()
        return f"{n_devices}x {names[0] if names else 'GPU'}"
    ranks = f", {n_devices} devices" if n_devices > 1 else ""
    return f"{n_cores or os.cpu_count()} cores of {processor_name()}{ranks}"


def processor_name() -> str:
    """Give the processor's name as the operating system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_names() -> list[str]:
    """Give the names of the NVIDIA GPUs, as the driver lists them, without loading a framework."""
    names = []
    for info in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = info.read_text().splitlines()
        names += [x.partition(":")[2].strip() for x in lines if x.startswith("Model:")]
    return names


def visible_gpus() -> list[str]:
    """Give the ids of the GPUs that this process may use (CUDA_VISIBLE_DEVICES respected)."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [v for v in visible.split(",") if v.strip()]
    return [str(i) for i in range(len(gpu_names()))]


def usable_cores() -> list[int]:
    """Give the ids of the CPU cores that this process may run on."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def version_of(package: str) -> str | None:
    """Give an installed package's version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
