"""What several tests build: plans, in-process trials and a device whose work takes known time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pacebench import opening
from pacebench.backends.base import Algorithm
from pacebench.clock import Clock
from pacebench.data import ArraySource
from pacebench.plan import TrialPlan, TrialRules
from pacebench.plugins import find_workload
from pacebench.spec import Batch, DataRequest, LossValue, Source, Workload
from pacebench.store import RunStore
from pacebench.study import PlannedTrial, Resources, StudyRequest, draw_plan
from pacebench.trial import Trial
from tuning.rules import load_rules

REPOSITORY = Path(__file__).resolve().parents[1]

RULES = TrialRules(
    version="test",
    ruleset="external",
    metric="accuracy",
    larger_is_better=True,
    validation_target=2.0,
    test_target=None,
    budget_seconds=10.0,
    step_hint=100,
    hint_seconds=10.0,
    eval_period_seconds=1.0,
    max_steps=None,
    budget_check="every_step",
    eval_when_over_budget=True,
    stop_at="validation",
    diverged_after_evaluations=0,
    matmul_precision="highest",
)

PLAN = TrialPlan(
    submission="adamw",
    framework="torch",
    style="library",
    address="torch.optim:AdamW",
    source=None,
    source_hash="",
    authors=(),
    description="",
    workload="digits",
    rules=RULES,
    deviations=(),
    study=0,
    trial=1,
    n_studies=1,
    n_trials=1,
    hyperparameters={"lr": 1e-3, "schedule": "none"},
    seed=0,
    batch_size=64,
    eval_batch_size=512,
    device="cpu",
    n_devices=1,
    n_cores=0,
    clock="seconds",
    is_compiled=False,
    data_dir=None,
    allow_partial_data=False,
    sizes={"train": 1000, "eval_train": 400, "validation": 397, "test": 400},
    checkpoint_period_seconds=600.0,
    wall_limit_seconds=600.0,
)

LIBRARY_OPTIMIZERS = {"torch": ("torch.optim:Adam", "lr"), "jax": ("optax:adam", "learning_rate")}


def library_plan(framework: str, learning_rate: float = 1e-3, **changes: Any) -> TrialPlan:
    """A plan of Adam as the framework's library gives it."""
    address, name = LIBRARY_OPTIMIZERS[framework]
    return dataclasses.replace(
        PLAN,
        framework=framework,
        address=address,
        hyperparameters={name: learning_rate, "schedule": "none"},
        **changes,
    )


def with_rules(plan: TrialPlan, **changes: Any) -> TrialPlan:
    """A plan with some of its rules changed."""
    return dataclasses.replace(plan, rules=dataclasses.replace(plan.rules, **changes))


def draw(submission: Any, **changes: Any) -> list[PlannedTrial]:
    """The planned trials of one submission on digits under the dev rules."""
    request = StudyRequest(
        submissions=[submission],
        workloads=[find_workload("digits")],
        rules=load_rules("dev"),
        ruleset="external",
        resources=Resources(device="cpu", n_devices=1, n_cores=1, is_compiled=False),
        data=DataRequest(),
    )
    return draw_plan(dataclasses.replace(request, **changes))


def open_trial(
    plan: TrialPlan,
    folder: Path,
    *,
    workload: Workload | None = None,
    algorithm: Algorithm | None = None,
    rank: int = 0,
) -> Trial:
    """A trial in this process, on the backend that its plan names."""
    folder.mkdir(parents=True, exist_ok=True)
    unit: Any = plan.clock
    return opening.open_trial(
        plan,
        RunStore(folder),
        Clock(unit=unit),
        rank=rank,
        workload=workload,
        make_algorithm=(lambda: algorithm) if algorithm else None,
    )


class FakeTime:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """The time now."""
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@dataclasses.dataclass(kw_only=True)
class FakeBackend:
    """An asynchronous device: a step is queued at once and takes `step_seconds` to be done."""

    time: FakeTime
    step_seconds: float = 0.05
    compile_seconds: float = 0.0
    """Taken by the first step of a process, on the host."""
    queue_seconds: float = 0.0001
    eval_seconds: float = 0.3
    run_ahead: int = 4
    finished_at: int = 0
    rank: int = 0
    n_ranks: int = 1
    free_at: float = 0.0
    steps_made: int = 0
    run: Any = dataclasses.field(default_factory=lambda: SimpleNamespace(evaluations=[], step=0))

    def step(self, step: int) -> bool:
        """Queue a step; wait if too many are queued."""
        self.run.step = step
        if self.steps_made == 0:
            self.time.pass_by(self.compile_seconds)
        self.steps_made += 1
        self.time.pass_by(self.queue_seconds)
        self.free_at = max(self.free_at, self.time()) + self.step_seconds
        ahead = self.free_at - self.run_ahead * self.step_seconds
        self.time.seconds = max(self.time(), ahead)
        return step == self.finished_at

    def prepare_eval(self) -> None:
        """Nothing to prepare."""

    def eval_batch(self, batch: Batch) -> tuple[Any, LossValue]:
        """Take the evaluation's time; step % 11 tenths of the examples are right."""
        self.time.seconds = max(self.time(), self.free_at) + self.eval_seconds / 3
        accuracy = self.run.step % 11 / 10
        n = len(batch["targets"])
        outputs = np.zeros((n, 2), np.float32)
        outputs[: round(accuracy * n), 1] = 1.0
        zero = np.zeros(n, np.float32)
        return outputs, LossValue(summed=zero.sum(), n_valid_examples=n, per_example=zero)

    def wait(self) -> None:
        """Let time pass until the device is free."""
        self.time.seconds = max(self.time(), self.free_at)

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
        """Give the number of steps made."""
        return {"steps_made": self.run.step}

    def load_state(self, tree: Any) -> None:
        """Take up a number of steps."""
        self.run.step = tree["steps_made"]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Never."""
        return False

    def environment(self) -> dict[str, Any]:
        """Nothing to tell."""
        return {}

    def close(self) -> None:
        """Nothing to close."""


def fake_trial(plan: TrialPlan, backend: FakeBackend, folder: Path) -> Trial:
    """A trial of digits' metric on a fake device, in fake time."""
    folder.mkdir(parents=True, exist_ok=True)
    unit: Any = plan.clock
    clock = Clock(unit=unit, now=backend.time)
    clock.device = backend
    split: Source = ArraySource(inputs=np.zeros((10, 1), np.float32), targets=np.ones(10, np.int64))
    names = ("train", "eval_train", "validation", "test")
    return Trial(
        plan=dataclasses.replace(plan, eval_batch_size=10),
        workload=find_workload("digits"),
        sources=dict.fromkeys(names, split),
        backend=backend,
        clock=clock,
        store=RunStore(folder),
    )
