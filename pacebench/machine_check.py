"""Looks at what this machine can run: frameworks, devices, data and disk, without running a trial.

The frameworks are looked at in processes of their own, so that neither is imported here and a
broken one is a line of text.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pacebench.environment import describe_machine, gpu_names, usable_cores, visible_gpus
from pacebench.errors import DataError
from pacebench.plugins import all_workloads
from pacebench.spec import FRAMEWORKS, DataRequest

PROBES = {framework: f"pacebench.backends.probe_{framework}" for framework in FRAMEWORKS}
PROBE_SECONDS = 120.0
FIRST_WORKLOAD = "digits"
"""The workload that a fresh install runs; its data comes with a dependency."""
LEAST_FREE_BYTES = 2**30
"""Below this, checkpoints of the larger workloads (some 0.5 GB each) fill the disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameworkState:
    """How one framework is installed here."""

    framework: str
    is_usable: bool
    version: str = ""
    gpus: tuple[str, ...] = ()
    problem: str = ""
    """What is wrong and what to do; may be said of a usable one too (no GPU support)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataState:
    """Whether one workload's data is here."""

    workload: str
    sizes: dict[str, int] | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineState:
    """What this machine can run."""

    machine: dict[str, Any]
    usable_cores: int
    gpus: tuple[str, ...]
    available_memory_bytes: int
    free_disk_bytes: int
    frameworks: tuple[FrameworkState, ...]
    data: tuple[DataState, ...]

    def problems(self) -> list[str]:
        """Give what keeps the first workload from running at all."""
        found = [d.problem for d in self.data if d.workload == FIRST_WORKLOAD and d.problem]
        if not any(f.is_usable for f in self.frameworks):
            found += [f.problem for f in self.frameworks]
        return found

    def warnings(self) -> list[str]:
        """Give what does not keep it from running but should be known."""
        found = [f.problem for f in self.frameworks if f.problem]
        if self.free_disk_bytes < LEAST_FREE_BYTES:
            found.append(f"only {self.free_disk_bytes / 2**20:.0f} MiB free here; make room")
        return [text for text in found if text not in self.problems()]


def look_at_machine(data: DataRequest, folder: Path) -> MachineState:
    """Look at this machine; `folder` is where runs would be written."""
    return MachineState(
        machine=describe_machine(),
        usable_cores=len(usable_cores()),
        gpus=tuple(gpu_names()),
        available_memory_bytes=psutil.virtual_memory().available,
        free_disk_bytes=shutil.disk_usage(folder).free,
        frameworks=tuple(look_at_framework(framework) for framework in FRAMEWORKS),
        data=tuple(_data_state(name, data) for name in all_workloads()),
    )


def look_at_framework(framework: str) -> FrameworkState:
    """Import a framework in a process of its own and say what it sees."""
    if importlib.util.find_spec(framework) is None:
        text = f"{framework} is not installed: pip install 'pacebench[{framework}]'"
        return FrameworkState(framework=framework, is_usable=False, problem=text)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", PROBES[framework]],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        text = f"{framework} does not import within {PROBE_SECONDS:.0f} s; reinstall it"
        return FrameworkState(framework=framework, is_usable=False, problem=text)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        text = f"{framework} is installed but does not work ({lines[-1]}); reinstall it"
        return FrameworkState(framework=framework, is_usable=False, problem=text)
    said = json.loads(done.stdout.splitlines()[-1])
    return FrameworkState(
        framework=framework,
        is_usable=True,
        version=said["version"],
        gpus=tuple(said["gpus"]),
        problem=_gpu_problem(framework, said, visible_gpus()),
    )


def _gpu_problem(framework: str, said: dict[str, Any], visible: list[str]) -> str:
    """Say why a usable framework does not see the GPUs that the driver lists."""
    if not visible or said["gpus"]:
        return ""
    if framework == "torch" and said["cuda"] is None:
        return (
            "torch is a CPU build but an NVIDIA GPU is present; install the CUDA build "
            "(pytorch.org/get-started) or use --device cpu"
        )
    return (
        f"{framework} sees no GPU but an NVIDIA GPU is present; install its CUDA build "
        "(for jax: pip install 'jax[cuda12]'), check the driver, or use --device cpu"
    )


def _data_state(workload: str, request: DataRequest) -> DataState:
    try:
        sizes = all_workloads()[workload].find_sizes(request)
    except DataError as error:
        return DataState(workload=workload, sizes=None, problem=str(error))
    return DataState(workload=workload, sizes=sizes)
