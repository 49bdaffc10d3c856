"""The loop: steps are charged, evaluations are not, and every end has a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pacebench.backends.base import Backend, NotResumableError
from pacebench.clock import Clock, Section
from pacebench.evaluate import evaluate
from pacebench.limits import Action, Limits, limits_of
from pacebench.plan import TrialPlan
from pacebench.rows import EvalRow, Reason
from pacebench.spec import Source, Workload
from pacebench.store import RunStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """The parts of a running trial."""

    plan: TrialPlan
    workload: Workload
    sources: Mapping[str, Source]
    backend: Backend
    clock: Clock
    store: RunStore
    is_interrupted: Callable[[], bool] = field(default=lambda: False)


@dataclass(kw_only=True, slots=True)
class Progress:
    """How far a trial is; saved in its checkpoints."""

    step: int = 0
    last_eval: float | None = None
    """What was charged at the newest evaluation."""
    rows: list[EvalRow] = field(default_factory=list)
    saved_at_seconds: float = 0.0
    """Wall seconds of the trial at its newest checkpoint."""
    reason: Reason | None = None
    """Why the trial ended; set before the last checkpoint, so that a killed end is not undone."""
    is_finished: bool = False
    """Whether the submission has said that it has finished."""
    is_interrupted: bool = False
    """Whether the newest step was made but what follows it (an evaluation, perhaps) was not."""


def run_trial(trial: Trial, progress: Progress) -> Reason | None:
    """Run from `progress` to the trial's end; gives the reason, or None if interrupted."""
    clock, backend = trial.clock, trial.backend
    limits = limits_of(trial.plan)
    if progress.reason is not None:
        return progress.reason
    clock.switch(Section.SUBMISSION)
    for step in count(progress.step + (0 if progress.is_interrupted else 1)):
        if not progress.is_interrupted:
            progress.is_finished = backend.step(step)
            progress.step = step
        progress.is_interrupted = False
        action = _next_action(trial, limits, progress)
        if action is Action.CONTINUE:
            continue
        if action is Action.SAVE:
            save(trial, progress)
            clock.switch(Section.SUBMISSION)
            continue
        if action is Action.EVALUATE:
            backend.prepare_eval()
        clock.switch(Section.EVALUATION)
        charged = clock.charged(step)
        if action is Action.INTERRUPT:
            progress.is_interrupted = True
            break
        if action is Action.STOP or not limits.evaluates_at(charged):
            progress.reason = Reason.BUDGET
            break
        _evaluate(trial, progress, charged)
        progress.reason = limits.stop_reason(
            progress.rows, charged=charged, is_finished=progress.is_finished
        )
        if progress.reason:
            break
        if _from_rank_0(trial, lambda: _is_save_due(trial, progress)):
            save(trial, progress)
        clock.switch(Section.SUBMISSION)
    save(trial, progress)
    return progress.reason


def _next_action(trial: Trial, limits: Limits, progress: Progress) -> Action:
    """Decide what follows a step."""
    return Action(_from_rank_0(trial, lambda: _own_action(trial, limits, progress).value))


def _from_rank_0(trial: Trial, decide: Callable[[], Any]) -> Any:
    """Give rank 0's decision to all ranks, whose clocks differ."""
    backend = trial.backend
    if backend.n_ranks == 1:
        return decide()
    return backend.agree(decide() if backend.rank == 0 else None)


def _own_action(trial: Trial, limits: Limits, progress: Progress) -> Action:
    if trial.is_interrupted():
        return Action.INTERRUPT
    action = limits.next_action(
        step=progress.step,
        charged=trial.clock.charged(progress.step),
        last_eval=progress.last_eval,
        is_finished=progress.is_finished,
    )
    if action is Action.CONTINUE and _is_save_due(trial, progress):
        return Action.SAVE
    return action


def _is_save_due(trial: Trial, progress: Progress) -> bool:
    spent = sum(trial.clock.sections().values())
    return spent >= progress.saved_at_seconds + trial.plan.checkpoint_period_seconds


def _evaluate(trial: Trial, progress: Progress, charged: float) -> None:
    """Evaluate and write the row down; leaves the clock in the section `logging`."""
    workload, batch_size = trial.workload, trial.plan.eval_batch_size
    metrics = evaluate(trial.backend, workload.metric, trial.sources, batch_size, workload.decoding)
    trial.clock.switch(Section.LOGGING)
    seconds = None if trial.plan.clock == "steps" else charged
    row = EvalRow(step=progress.step, seconds=seconds, metrics=metrics)
    progress.rows.append(row)
    progress.last_eval = charged
    remember(trial.backend, row)
    if trial.backend.rank == 0:
        trial.store.append_row(row)
        trial.store.append_timing(row.step, trial.clock.sections())


def remember(backend: Backend, row: EvalRow) -> None:
    """Let the submission see an evaluation: training and validation, never test."""
    seen = {k: v for k, v in row.metrics.items() if not k.startswith("test/")}
    backend.run.evaluations.append((row.step, seen))


def save(trial: Trial, progress: Progress) -> None:
    """Write a checkpoint, unless the submission's state cannot be saved.

    The other ranks wait for rank 0, which writes: a rank that leaves ends the trial.
    """
    trial.clock.switch(Section.CHECKPOINT)
    try:
        state = trial.backend.save_state()
    except NotResumableError as error:
        if trial.backend.rank == 0:
            trial.store.update_meta(is_resumable=False, not_resumable_because=str(error))
    else:
        if trial.backend.rank == 0:
            trial.store.save_checkpoint(
                {"progress": _progress_tree(trial, progress), "state": state}
            )
    progress.saved_at_seconds = sum(trial.clock.sections().values())
    _from_rank_0(trial, lambda: None)
    trial.clock.switch(Section.OTHER)


def resume(trial: Trial, tree: Any) -> Progress:
    """Take a trial up from a checkpoint's tree; gives how far it was."""
    saved = tree["progress"]
    if trial.backend.rank == 0:
        trial.store.rewind(saved["n_rows"], saved["step"], saved["sections"].get("submission", 0.0))
    trial.backend.load_state(tree["state"])
    trial.backend.run.step = saved["step"]
    trial.clock.restore(saved["sections"])
    rows = [EvalRow.from_json(line) for line in saved["rows"]]
    for row in rows:
        remember(trial.backend, row)
    return Progress(
        step=saved["step"],
        last_eval=saved["last_eval"],
        rows=rows,
        saved_at_seconds=sum(trial.clock.sections().values()),
        reason=Reason(saved["reason"]) if saved["reason"] else None,
        is_finished=saved["is_finished"],
        is_interrupted=saved["is_interrupted"],
    )


def _progress_tree(trial: Trial, progress: Progress) -> dict[str, Any]:
    is_timed = trial.plan.clock == "seconds"
    return {
        "step": progress.step,
        "reason": str(progress.reason) if progress.reason else None,
        "is_finished": progress.is_finished,
        "is_interrupted": progress.is_interrupted,
        "last_eval": progress.last_eval,
        "n_rows": len(progress.rows),
        "rows": [row.to_json() for row in progress.rows],
        "sections": trial.clock.sections() if is_timed else {},
    }
