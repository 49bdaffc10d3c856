"""Opening a trial in this process: its data, its backend and its submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pacebench.backends import BACKENDS
from pacebench.backends.base import Algorithm, Backend, Binding, PositionedBatches
from pacebench.clock import Clock, Section
from pacebench.data import ReadAhead, TrainBatches, eval_batches
from pacebench.environment import usable_cores
from pacebench.loading import load_algorithm
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload, resolve
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, Workload
from pacebench.store import RunStore
from pacebench.trial import Trial


def open_trial(
    plan: TrialPlan,
    store: RunStore,
    clock: Clock,
    *,
    rank: int = 0,
    workload: Workload | None = None,
    make_algorithm: Callable[[], Algorithm] | None = None,
) -> Trial:
    """Set a planned trial up and connect its clock to the device.

    `workload` and `make_algorithm` stand in for what the plan names. Raises DataError,
    SubmissionError or whatever the submission's own code raises.
    """
    workload = workload or find_workload(plan.workload)
    data_dir = Path(plan.data_dir) if plan.data_dir else None
    request = DataRequest(
        data_dir=data_dir,
        allow_partial=plan.allow_partial_data,
        n_threads=max(1, len(usable_cores()) // plan.n_ranks),
    )
    sources = workload.open_sources(request)
    if workload.open_metric is not None:
        workload = replace(workload, metric=workload.open_metric(request))

    def open_batches(rank: int, n_ranks: int) -> PositionedBatches:
        batches = TrainBatches(
            sources["train"],
            seed=Seed(plan.seed).child("data"),
            batch_size=plan.batch_size,
            rank=rank,
            n_ranks=n_ranks,
            mix=workload.mix,
            has_fixed_draws=workload.has_fixed_draws,
            epoch_order=workload.epoch_order,
        )
        return ReadAhead(batches) if workload.is_read_ahead else batches

    def log(step: int, metrics: Mapping[str, float]) -> None:
        if rank == 0:
            store.append_metrics(step, {k: float(v) for k, v in metrics.items()})

    binding = Binding(
        plan=plan,
        workload=workload,
        make_algorithm=make_algorithm or (lambda: load_algorithm(plan, store.folder)),
        example=next(eval_batches(sources["eval_train"], plan.eval_batch_size, 0, 1)),
        open_batches=open_batches,
        log=log,
        charged_seconds=lambda step: _charged_seconds(plan, clock, step),
        rank=rank,
    )
    backend: Backend = resolve(BACKENDS[plan.framework])(binding)
    clock.device = backend
    return Trial(
        plan=plan, workload=workload, sources=sources, backend=backend, clock=clock, store=store
    )


def _charged_seconds(plan: TrialPlan, clock: Clock, step: int) -> float:
    """Give the seconds charged so far; under a clock of steps, what the steps stand for."""
    if plan.clock == "steps":
        return step * plan.rules.hint_seconds / plan.rules.step_hint
    return clock.seconds(Section.SUBMISSION)
