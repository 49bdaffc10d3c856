"""One trial under observation: the real loop, with a backend that looks at what passes through."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.backends.base import Algorithm, Backend, NotResumableError, Run
from pacebench.clock import Clock, Section
from pacebench.fairplay import identities
from pacebench.fairplay.findings import Found, Rule
from pacebench.fairplay.watch import Watch
from pacebench.loading import SOURCE_FOLDER, load_algorithm
from pacebench.opening import open_trial
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload
from pacebench.rows import Reason
from pacebench.spec import Advance, Batch, DataRequest, Decoding, LossValue, Source
from pacebench.store import RunStore
from pacebench.trial import Progress, Trial, run_trial

PARTS = {"torch": "pacebench.fairplay.parts_torch", "jax": "pacebench.fairplay.parts_jax"}
"""By framework: the module that knows where its parameters are."""
OTHER_NAME = "another_workload"
MAX_SAMPLES = 256
"""Values that are kept of each parameter, evenly spread."""
CLOCK_TOLERANCE, CLOCK_SLACK_SECONDS = 0.05, 0.1
"""How far a clock's sections may be from the wall time that passed: a share and a constant."""
EARLY = 0.1
"""The share of the step hint before which an honest submission does not say that it has finished,
unless its target is reached."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variation:
    """How a trial differs from the planned one."""

    is_renamed: bool = False
    """The workload has another name."""
    seed_shift: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a trial did."""

    digests: tuple[str, ...]
    """Of the parameters: as handed over, after set-up, and as evaluated after each step."""
    samples: tuple[NDArray[np.float32], ...]
    found: tuple[Found, ...]


def run_observed(plan: TrialPlan, folder: Path, variation: Variation) -> Seen:
    """Run a trial from its folder, in this process, which is the submission's from then on.

    Whatever the submission raises passes.
    """
    now = time.monotonic  # kept, whatever the submission puts in its place
    plan = dataclasses.replace(plan, seed=plan.seed + variation.seed_shift)
    watch = Watch(folder, folder / SOURCE_FOLDER / (plan.source or "none"), _data_folder(plan))
    parts = importlib.import_module(PARTS[plan.framework])
    handed = _Handed(parts=parts, watch=watch, snapshots=[])
    must_stay = identities.take(parts.MUST_STAY)
    watch.install()
    unit: Any = plan.clock
    began, clock = now(), Clock(unit=unit)
    trial = _opened(plan, folder, clock, handed, variation)
    progress = Progress()
    observer = Observer(trial.backend, clock, handed, progress, must_stay)
    observer.check("set-up")
    reason = run_trial(dataclasses.replace(trial, backend=observer), progress)
    observer.check_after_evaluation()
    observer.check("the end")
    if reason is Reason.TARGET:
        text = f"the target is reached after step {progress.step}; training does not do that"
        watch.tell(Rule.MEMORISED_WEIGHTS, text, f"step {progress.step}")
    _check_clock(watch, clock, now() - began, observer.spent_seconds)
    return Seen(
        digests=tuple(_digest(arrays) for arrays in handed.snapshots),
        samples=tuple(_sample(arrays) for arrays in handed.snapshots),
        found=tuple(watch.found),
    )


def _opened(
    plan: TrialPlan, folder: Path, clock: Clock, handed: _Handed, variation: Variation
) -> Trial:
    """Set the trial up, with data and submission listened to."""
    workload, watch = find_workload(plan.workload), handed.watch

    def open_sources(request: DataRequest) -> dict[str, Source]:
        with watch.reading_data():
            return workload.open_sources(request)

    def make_algorithm() -> Algorithm:
        with watch.listening("import"):
            algorithm = load_algorithm(plan, folder)
        return handed.wrapped(algorithm)

    named = OTHER_NAME if variation.is_renamed else workload.name
    shown = dataclasses.replace(workload, open_sources=open_sources, name=named)
    return open_trial(plan, RunStore(folder), clock, workload=shown, make_algorithm=make_algorithm)


@dataclasses.dataclass(kw_only=True, slots=True)
class _Handed:
    """The algorithm's functions, listened to, and the state that they gave last."""

    parts: Any  # one of the modules in PARTS
    watch: Watch
    snapshots: list[list[NDArray[Any]]]
    state: Any = None
    shown: Callable[[], list[tuple[int, Any]]] = list
    """AlgoPerf's `eval_results`, which are not run.evaluations."""

    def wrapped(self, algorithm: Algorithm) -> Algorithm:
        """Give the algorithm with its functions listened to."""
        prepare = algorithm.prepare_eval
        self.shown = algorithm.shown or list

        def init(run: Run) -> Any:
            self.snapshots.append(self.parts.initial(run))
            with self.watch.listening("set-up"):
                self.state = algorithm.init(run)
            self.snapshots.append(self.parts.evaluated(run, self.state))
            if _digest(self.snapshots[0]) != _digest(self.snapshots[1]):
                text = "set-up changes the parameters; a trial begins with those it was given"
                self.watch.tell(Rule.MEMORISED_WEIGHTS, text)
            return self.state

        def step(run: Run, state: Any, batches: Iterator[Batch]) -> Any:
            with self.watch.listening(f"step {run.step}"):
                self.state = algorithm.step(run, state, batches)
            return self.state

        def prepare_eval(run: Run, state: Any) -> Any:
            if prepare is not None:
                with self.watch.listening(f"step {run.step}"):
                    self.state = prepare(run, state)
            return self.state

        return dataclasses.replace(algorithm, init=init, step=step, prepare_eval=prepare_eval)


class Observer:
    """A backend that passes everything on, and looks at the trial in between."""

    def __init__(
        self,
        inner: Backend,
        clock: Clock,
        handed: _Handed,
        progress: Progress,
        must_stay: list[identities.Kept],
    ) -> None:
        self.rank, self.n_ranks, self.run = inner.rank, inner.n_ranks, inner.run
        self._inner = inner
        self._clock = clock
        self._handed = handed
        self._watch = handed.watch
        self._progress = progress
        self._must_stay = must_stay
        self._fields = identities.take_fields(backend=inner, clock=clock, run=inner.run)
        self._history = inner.run.evaluations
        self._evaluated = ""
        """The digest of the parameters when the last evaluation began; "" before the first."""
        self._now = time.monotonic
        self.spent_seconds = 0.0
        """In steps and in preparing evaluations, as measured here."""

    def step(self, step: int) -> bool:
        """Let the submission make a step; looks before and after."""
        self.check_after_evaluation()
        began = self._now()
        is_finished = self._inner.step(step)
        self.spent_seconds += self._now() - began
        self.check(f"step {step}")
        hint = self.run.step_hint
        if is_finished and step < EARLY * hint:
            text = f"it says that it has finished after {step} of the {hint} steps of the hint"
            self._watch.tell(Rule.FINISHED, text, f"step {step}")
        return is_finished

    def prepare_eval(self) -> None:
        """Let the submission prepare; then nothing of it may run or change."""
        began = self._now()
        self._inner.prepare_eval()
        self._inner.wait()
        self.spent_seconds += self._now() - began
        self._watch.look_for_threads()
        arrays = self._handed.parts.evaluated(self.run, self._handed.state)
        self._handed.snapshots.append(arrays)
        self._evaluated = _digest(arrays)
        self.check(f"step {self.run.step}")

    def eval_batch(self, batch: Batch) -> tuple[Any, LossValue]:
        """Evaluate a batch; no code of the submission may run."""
        with self._watch.evaluating(f"evaluation after step {self.run.step}"):
            return self._inner.eval_batch(batch)

    def open_decoding(self, batch: Batch, decoding: Decoding) -> Advance:
        """Pass on."""
        return self._inner.open_decoding(batch, decoding)

    def wait(self) -> None:
        """Pass on."""
        self._inner.wait()

    def max_over_ranks(self, value: float) -> float:
        """Pass on."""
        return self._inner.max_over_ranks(value)

    def agree(self, value: Any) -> Any:
        """Pass on."""
        return self._inner.agree(value)

    def gather(self, value: Any) -> list[Any]:
        """Pass on."""
        return self._inner.gather(value)

    def save_state(self) -> Any:
        """Save in vain, to see that saving does no work: the clock stands still.

        Raises NotResumableError: an observed trial is not taken up again.
        """
        before = self._handed.parts.evaluated(self.run, self._handed.state)
        with self._watch.saving(_codes(self.run.forward, self.run.loss)):
            self._inner.save_state()
        after = self._handed.parts.evaluated(self.run, self._handed.state)
        if _digest(before) != _digest(after):
            text = "parameters change while a checkpoint is written, uncharged"
            self._watch.tell(Rule.DEFERRED_WORK, text, "checkpoint")
        raise NotResumableError("an observed trial is not resumed")

    def load_state(self, tree: Any) -> None:
        """Pass on."""
        self._inner.load_state(tree)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Pass on."""
        return self._inner.is_out_of_memory(error)

    def environment(self) -> dict[str, Any]:
        """Pass on."""
        return self._inner.environment()

    def close(self) -> None:
        """Pass on."""
        self._inner.close()

    def check(self, moment: str) -> None:
        """See that functions, fields and the history are what they were."""
        watch = self._watch
        watch.moment = moment
        for name in identities.changed(self._must_stay):
            watch.tell(Rule.PATCHING, f"{name} was replaced")
        self._must_stay = identities.again(self._must_stay)
        fields = identities.take_fields(backend=self._inner, clock=self._clock, run=self.run)
        for name in {*fields, *self._fields}:
            if fields.get(name) is not self._fields.get(name):
                rule = Rule.TRIAL_STATE if name.startswith("run.") else Rule.PATCHING
                watch.tell(rule, f"{name} was replaced")
        self._fields = fields
        if self._clock.device is not self._inner:
            watch.tell(Rule.PATCHING, "the clock waits for something else than the device")
        self._check_history()

    def check_after_evaluation(self) -> None:
        """See that the evaluation, in which the clock stood still, has changed no parameter."""
        if not self._evaluated:
            return
        arrays = self._handed.parts.evaluated(self.run, self._handed.state)
        if _digest(arrays) != self._evaluated:
            moment = f"evaluation after step {self.run.step}"
            text = "parameters change while the clock stands still"
            self._watch.tell(Rule.DEFERRED_WORK, text, moment)
        self._evaluated = ""
        self._check_history()

    def _check_history(self) -> None:
        """Compare the history with the rows that were written down, then mend it."""
        history = self._history
        measured = [
            (row.step, {k: v for k, v in row.metrics.items() if not k.startswith("test/")})
            for row in self._progress.rows
        ]
        if self.run.evaluations is not history or repr(history) != repr(measured):
            self._watch.tell(Rule.HISTORY, "the evaluations are not those that were measured")
            history[:] = measured
            self.run.evaluations = history
        shown = self._handed.shown()
        pairs = zip(shown, measured, strict=False)
        if len(shown) > len(measured) or any(
            repr((step, {key: row.get(key) for key in metrics})) != repr((real_step, metrics))
            for (step, row), (real_step, metrics) in pairs
        ):
            self._watch.tell(Rule.HISTORY, "eval_results are not those that were measured")


def _codes(*functions: Any) -> frozenset[CodeType]:
    """Give the code of functions or methods."""
    return frozenset(getattr(f, "__func__", f).__code__ for f in functions)


def _check_clock(watch: Watch, clock: Clock, wall_seconds: float, spent_seconds: float) -> None:
    charged = clock.sections()[Section.SUBMISSION]
    if charged < spent_seconds * (1 - CLOCK_TOLERANCE) - CLOCK_SLACK_SECONDS:
        text = f"the clock charges {charged:.2f} s where {spent_seconds:.2f} s were used"
        watch.tell(Rule.PATCHING, text)
    told = sum(clock.sections().values())
    allowed = CLOCK_TOLERANCE * wall_seconds + CLOCK_SLACK_SECONDS
    if abs(told - wall_seconds) > allowed:
        text = f"the clock's sections add up to {told:.2f} s, the wall time is {wall_seconds:.2f} s"
        watch.tell(Rule.PATCHING, text)


def _data_folder(plan: TrialPlan) -> Path | None:
    folder = find_workload(plan.workload).data_folder
    return Path(plan.data_dir) / folder if plan.data_dir and folder else None


def _digest(arrays: list[NDArray[Any]]) -> str:
    """Give a digest of the values alone: AlgoPerf's pmap puts an axis of devices before them."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _sample(arrays: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Give up to MAX_SAMPLES values of each array, evenly spread, one after another."""
    parts = [a.reshape(-1)[:: max(1, a.size // MAX_SAMPLES)] for a in arrays]
    return np.concatenate([p.astype(np.float32) for p in parts] or [np.zeros(0, np.float32)])
