"""The clock's proof in real time: 50 ms of known asynchronous work per step is charged 50 ± 2 ms.

    python -m benchmarks.clock_proof

A device that is a thread which sleeps 50 ms for every queued step stands in for a GPU. The loop
itself (`pacebench.trial.run_trial`) runs on it: warm and cold (a first step that compiles for
1 s), with and without evaluations, two processes at once, and resumed after half of the steps.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import queue
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pacebench.clock import Clock, Section
from pacebench.data import ArraySource
from pacebench.plan import TrialPlan
from pacebench.plugins import find_submission, find_workload
from pacebench.spec import Batch, DataRequest, LossValue
from pacebench.store import RunStore
from pacebench.study import Resources, StudyRequest, draw_plan
from pacebench.trial import Progress, Trial, resume, run_trial
from tuning.rules import load_rules

STEP_SECONDS = 0.050
COMPILE_SECONDS = 1.0
N_STEPS = 60
RUN_AHEAD = 4


class SleepingDevice:
    """A backend whose steps are queued at once and done in turn by a sleeping thread."""

    rank = 0
    n_ranks = 1

    def __init__(self, *, is_cold: bool = False) -> None:
        self.run: Any = SimpleNamespace(step=0, evaluations=[])
        self._is_cold = is_cold
        self._work: queue.Queue[threading.Event] = queue.Queue()
        self._queued: deque[threading.Event] = deque()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        free_at = time.monotonic()
        while True:
            done = self._work.get()
            free_at = max(free_at, time.monotonic()) + STEP_SECONDS
            time.sleep(max(0.0, free_at - time.monotonic()))
            done.set()

    def step(self, step: int) -> bool:
        """Queue a step and wait only for the one that is too far behind."""
        self.run.step = step
        if self._is_cold:
            time.sleep(COMPILE_SECONDS)
            self._is_cold = False
        done = threading.Event()
        self._work.put(done)
        self._queued.append(done)
        if len(self._queued) > RUN_AHEAD:
            self._queued.popleft().wait()
        return False

    def wait(self) -> None:
        """Wait for all queued steps."""
        while self._queued:
            self._queued.popleft().wait()

    def prepare_eval(self) -> None:
        """Nothing to prepare."""

    def eval_batch(self, batch: Batch) -> tuple[Any, LossValue]:
        """Take 30 ms, charged to nobody."""
        time.sleep(0.03)
        n = len(batch["targets"])
        zeros = np.zeros(n, np.float32)
        return np.zeros((n, 2), np.float32), LossValue(
            summed=0.0, n_valid_examples=n, per_example=zeros
        )

    def max_over_ranks(self, value: float) -> float:
        """One rank."""
        return value

    def agree(self, value: Any) -> Any:
        """One rank."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """One rank."""
        return [value]

    def save_state(self) -> Any:
        """Nothing but the step."""
        return {"step": self.run.step}

    def load_state(self, tree: Any) -> None:
        """Take up the step."""
        self.run.step = tree["step"]

    def is_out_of_memory(self, error: BaseException) -> bool:  # noqa: ARG002 (the protocol's)
        """Never."""
        return False

    def environment(self) -> dict[str, Any]:
        """Nothing to tell."""
        return {}

    def close(self) -> None:
        """Nothing to close."""


def open_trial(folder: Path, device: SleepingDevice, eval_period_seconds: float) -> Trial:
    """Give a trial of N_STEPS steps on the device."""
    split = ArraySource(inputs=np.zeros((8, 1), np.float32), targets=np.ones(8, np.int64))
    clock = Clock()
    clock.device = device
    plan = draw_plan(
        StudyRequest(
            submissions=[find_submission("adamw")],
            workloads=[find_workload("digits")],
            rules=load_rules("dev"),
            ruleset="external",
            resources=Resources(device="cpu", n_devices=1, n_cores=0, is_compiled=False),
            data=DataRequest(),
        )
    )[0].plan
    rules = dataclasses.replace(
        plan.rules,
        budget_seconds=1e9,
        max_steps=N_STEPS,
        eval_period_seconds=eval_period_seconds,
        validation_target=2.0,
    )
    plan: TrialPlan = dataclasses.replace(plan, rules=rules, eval_batch_size=8)
    folder.mkdir(parents=True, exist_ok=True)
    names = ("train", "eval_train", "validation", "test")
    return Trial(
        plan=plan,
        workload=find_workload("digits"),
        sources=dict.fromkeys(names, split),
        backend=device,
        clock=clock,
        store=RunStore(folder),
    )


def charged(folder: Path, eval_period_seconds: float, is_cold: bool) -> float:
    """Run a trial; gives the milliseconds charged per step."""
    trial = open_trial(folder, SleepingDevice(is_cold=is_cold), eval_period_seconds)
    run_trial(trial, Progress())
    seconds = trial.clock.seconds(Section.SUBMISSION) - is_cold * COMPILE_SECONDS
    return seconds / N_STEPS * 1e3


def charged_after_resume(folder: Path) -> float:
    """Run half of a trial, resume it on a new device; gives the milliseconds charged per step."""
    stops = iter([False] * (N_STEPS // 2 - 1) + [True])
    first = open_trial(folder, SleepingDevice(), 0.5)
    run_trial(dataclasses.replace(first, is_interrupted=lambda: next(stops)), Progress())
    second = open_trial(folder, SleepingDevice(), 0.5)
    run_trial(second, resume(second, second.store.load_checkpoint()))
    return second.clock.seconds(Section.SUBMISSION) / N_STEPS * 1e3


def main() -> None:
    """Measure and print; the exit code is 1 if any charge is off by more than 2 ms a step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "warm, no evaluations": charged(folder / "a", 1e9, False),
            "warm, an evaluation every 0.5 s": charged(folder / "b", 0.5, False),
            "warm, an evaluation after every step": charged(folder / "c", 0.0, False),
            "cold, 1 s of compilation taken off": charged(folder / "d", 0.5, True),
            "resumed after half of the steps": charged_after_resume(folder / "e"),
        }
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            both = pool.starmap(charged, [(folder / f"f{i}", 0.5, False) for i in range(2)])
        found |= {f"two at once, number {i + 1}": value for i, value in enumerate(both)}
    for what, milliseconds in found.items():
        print(f"{what}: {milliseconds:.2f} ms charged per step of {STEP_SECONDS * 1e3:.0f} ms")
    if any(abs(v - STEP_SECONDS * 1e3) > 2 for v in found.values()):
        raise SystemExit("off by more than 2 ms")


if __name__ == "__main__":
    main()
