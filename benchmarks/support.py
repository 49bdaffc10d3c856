"""What the benchmarks share: trials in this process, and medians with their spread."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pacebench.backends import BACKENDS
from pacebench.backends.base import Algorithm, Backend, Binding
from pacebench.data import ReadAhead, TrainBatches, eval_batches
from pacebench.loading import load_algorithm
from pacebench.plan import TrialPlan
from pacebench.plugins import find_submission, find_workload, resolve
from pacebench.seeds import Seed
from pacebench.spec import Batch, DataRequest, Source
from pacebench.study import Resources, StudyRequest, draw_plan
from tuning.rules import load_rules

ADAM = {"torch": ("torch.optim:Adam", "lr"), "jax": ("optax:adam", "learning_rate")}


class FixedBatches:
    """The same batches over and over: data that lies in memory, ready for the device."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.position = 0
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        """Give itself."""
        return self

    def __next__(self) -> Batch:
        """Give the next batch."""
        self.position += 1
        return self._batches[self.position % len(self._batches)]


def plan_of(
    name: str, framework: str, data_dir: Path, batch_size: int, learning_rate: float = 1e-3
) -> TrialPlan:
    """Plan a trial of Adam on a workload, as `pacebench run` would, on whatever data is there."""
    address, key = ADAM[framework]
    versions = (load_rules(version) for version in ("dev", "mini", "algoperf-0.5", "lm"))
    request = StudyRequest(
        submissions=[find_submission(address, [{key: learning_rate, "schedule": "none"}])],
        workloads=[find_workload(name)],
        rules=next(rules for rules in versions if name in rules.workloads),
        ruleset="external",
        resources=Resources(device="cpu", n_devices=1, n_cores=0, is_compiled=False),
        data=DataRequest(data_dir=data_dir, allow_partial=True),
    )
    plan = draw_plan(request)[0].plan
    values: dict[str, Any] = {name: getattr(plan, name) for name in TrialPlan.__slots__}
    return TrialPlan(**{**values, "batch_size": batch_size})


def open_backend(
    plan: TrialPlan,
    sources: dict[str, Source],
    batches: Any = None,
    folder: Path | None = None,
) -> Backend:
    """Open a trial's backend in this process, on the real input or on given batches.

    `folder` is the trial's, where it has code of its own.
    """
    workload = find_workload(plan.workload)

    def make_algorithm() -> Algorithm:
        return load_algorithm(plan, folder or Path(tempfile.gettempdir()))

    def open_batches(rank: int, n_ranks: int) -> Any:
        if batches is not None:
            return FixedBatches(batches)
        made = TrainBatches(
            sources["train"],
            seed=Seed(plan.seed).child("data"),
            batch_size=plan.batch_size,
            rank=rank,
            n_ranks=n_ranks,
            mix=workload.mix,
            has_fixed_draws=workload.has_fixed_draws,
            epoch_order=workload.epoch_order,
        )
        return ReadAhead(made) if workload.is_read_ahead else made

    binding = Binding(
        plan=plan,
        workload=workload,
        make_algorithm=make_algorithm,
        example=next(eval_batches(sources["eval_train"], plan.eval_batch_size, 0, 1)),
        open_batches=open_batches,
        log=lambda _step, _metrics: None,
        charged_seconds=lambda _step: 0.0,
        rank=0,
    )
    backend: Backend = resolve(BACKENDS[plan.framework])(binding)
    return backend


def spread(values: Sequence[float]) -> str:
    """Give the median of some values and their range, as text."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
