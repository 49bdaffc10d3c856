"""The contract table: one row per workload; every test in this folder runs on all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pacebench.plugins import find_workload
from pacebench.spec import FRAMEWORKS, Workload
from tests.data_files import write_cifar, write_mnist


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


def small_cifar() -> Workload:
    """Give cifar with a small ResNet; the full one is too slow for a CPU."""
    full = find_workload("cifar")
    config = dataclasses.replace(full.model_config, widths=(8, 16), n_blocks=(1, 1))
    return dataclasses.replace(full, model_config=config)


ROWS = [
    {"workload": find_workload("digits"), "n_parameters": 1_126_410},
    {"workload": find_workload("mnist"), "n_parameters": 101_770, "write_data": write_mnist},
    {
        "workload": small_cifar(),
        # conv 3·8·9, block of 8: 2·8·8·9, block of 16: 8·16·9 + 16·16·9 + 8·16, batch norms
        # 2·8·3 + 2·16·3, dense 16·10 + 10
        "n_parameters": 216 + 1152 + 1152 + 2304 + 128 + 48 + 96 + 170,
        "write_data": write_cifar,
        "batch_size": 32,
        "learning_rate": 1e-2,
    },
]
CASES = [Case(framework=framework, **row) for row in ROWS for framework in FRAMEWORKS]
