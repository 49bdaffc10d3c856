"""The plan of one trial: everything it needs, as JSON on disk, before it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pacebench.errors import PlanError
from pacebench.rows import PLAN_FILE

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRules:
    """The rules as they apply to one trial: factors applied, changes of the command line in."""

    version: str
    ruleset: str
    """"external" or "self"."""
    metric: str
    """The target metric, without split."""
    larger_is_better: bool
    validation_target: float
    test_target: float | None
    budget_seconds: float
    """Submission seconds that may be charged (factor and scale applied)."""
    step_hint: int
    """Steps the reference makes in `hint_seconds`; schedules are drawn to it."""
    hint_seconds: float
    """The workload's budget before factor and scale, in seconds."""
    eval_period_seconds: float
    max_steps: int | None
    budget_check: str
    """"every_step" or "at_eval"."""
    eval_when_over_budget: bool
    stop_at: str
    """"validation" or "validation_and_test"."""
    diverged_after_evaluations: int
    """End after so many evaluations in a row without a finite loss; 0 goes on to the budget."""
    matmul_precision: str
    """"highest" (float32) or "default" (what the framework does, TF32 perhaps)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPlan:
    """One trial, complete: it runs from this and its folder alone."""

    submission: str
    framework: str
    style: str
    address: str
    source: str | None
    """File or folder name of the code's copy inside the trial folder; None for a library."""
    source_hash: str
    """sha256 of the copied source, or of the library's address."""
    authors: tuple[str, ...]
    description: str
    workload: str
    rules: TrialRules
    deviations: tuple[str, ...]
    """What makes a score of this trial not a full score, in words; empty if nothing does."""
    study: int
    trial: int
    n_studies: int
    n_trials: int
    hyperparameters: Mapping[str, Any]
    seed: int
    batch_size: int
    eval_batch_size: int
    device: str
    """"cpu" or "gpu"."""
    n_devices: int
    """GPUs, or on a CPU ranks (torch) or forced host devices (jax)."""
    n_cores: int
    """CPU cores that the trial is bound to; 0 leaves it unbound."""
    clock: str
    """"seconds" or "steps"."""
    is_compiled: bool
    """Whether a torch model is compiled; jax always is."""
    data_dir: str | None
    allow_partial_data: bool
    sizes: Mapping[str, int]
    """The sizes of the splits found when the plan was drawn."""
    checkpoint_period_seconds: float
    wall_limit_seconds: float
    schema_version: int = SCHEMA_VERSION

    @property
    def n_ranks(self) -> int:
        """How many processes train: torch takes one for each device, jax one for all."""
        return self.n_devices if self.framework == "torch" else 1

    def folder(self) -> Path:
        """Give the trial's folder below the runs folder, laid out as AlgoPerf lays out its logs."""
        return (
            Path(self.rules.version)
            / f"{self.rules.ruleset}_tuning"
            / self.submission
            / f"study_{self.study}"
            / f"{self.workload}_{self.framework}"
            / f"trial_{self.trial}"
        )

    def to_json(self) -> str:
        """Give the plan as indented JSON; the same plan gives the same bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def plan_from_json(text: str | bytes, where: str) -> TrialPlan:
    """Read a plan; raises PlanError that names `where` if it is damaged or of another version."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"{where} is not valid JSON ({error}); delete its folder and run again"
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise PlanError(
            f"{where} was written by another version of pacebench (plan schema {version}, "
            f"this one reads {SCHEMA_VERSION}); use another --out folder"
        )
    rules = TrialRules(**_checked(raw.get("rules"), TrialRules, where))
    return TrialPlan(**_checked(raw | {"rules": rules}, TrialPlan, where))


def _checked(raw: Any, kind: type, where: str) -> dict[str, Any]:
    """Give the fields of dataclass `kind`, lists as tuples; raises PlanError at what is no such."""
    hints = get_type_hints(kind)
    odd = sorted(set(raw) ^ set(hints)) if isinstance(raw, dict) else ["rules"]
    if odd:
        raise PlanError(f"{where} has missing or unknown fields: {', '.join(odd)}")
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in raw.items()}
    for name, value in values.items():
        if not _is_of(value, hints[name]):
            raise PlanError(
                f"{where} is damaged: {name} is {value!r:.60}; delete its folder and run again"
            )
    return values


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is what a field's type asks for; 100 may stand for 100.0."""
    if hint is Any:
        return True
    if isinstance(hint, UnionType):
        return any(_is_of(value, option) for option in get_args(hint))
    kind, of = get_origin(hint) or hint, get_args(hint)
    if kind is tuple:
        return isinstance(value, tuple) and all(_is_of(item, of[0]) for item in value)
    if kind is Mapping:
        return isinstance(value, Mapping) and all(_is_of(v, of[1]) for v in value.values())
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else kind)


def read_plan(folder: Path) -> TrialPlan:
    """Read the plan of a trial folder; raises PlanError if there is none or it is damaged."""
    path = folder / PLAN_FILE
    try:
        return plan_from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise PlanError(f"{folder} is not a trial folder: cannot read {path} ({error})") from error
