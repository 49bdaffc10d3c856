"""The contract table: one row per workload; every test in this folder runs on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pacebench.plugins import find_workload
from pacebench.spec import FRAMEWORKS, Workload


@dataclass(frozen=True, kw_only=True)
class Case:
    """A workload in a framework, at a size for tests."""

    workload: Workload
    framework: str
    n_parameters: int
    batch_size: int = 64
    eval_batch_size: int = 512
    n_steps: int = 40
    learning_rate: float = 1e-3
    write_data: Callable[[Path], None] | None = None
    """Writes a small data set in the workload's on-disk format."""

    def __str__(self) -> str:
        """Name the case in test reports."""
        return f"{self.workload.name}-{self.framework}"

    def data_dir(self, tmp_path: Path) -> str | None:
        """Give the data folder, written on first use."""
        if self.write_data is None:
            return None
        folder = tmp_path / "data"
        if not folder.exists():
            folder.mkdir()
            self.write_data(folder)
        return str(folder)


CASES = [
    Case(workload=find_workload("digits"), framework=framework, n_parameters=1_126_410)
    for framework in FRAMEWORKS
]
