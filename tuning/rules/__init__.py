"""Rule versions, one TOML file each: load one, and apply it to a trial."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacebench.errors import RulesError, unknown_name
from pacebench.plan import TrialRules
from tuning.rules.schema import RULES_KEYS, RULESETS, WORKLOAD_KEYS, checked, is_positive

__all__ = ["RULESETS", "Rules", "WorkloadRules", "load_rules", "rules_versions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadRules:
    """The targets and the budget of one workload, before any factor."""

    metric: str
    """The target metric, without split."""
    larger_is_better: bool
    validation_target: float
    test_target: float | None = None
    scoring_validation_target: float | None = None
    """The published leaderboard's target where it differs from the running one."""
    budget_seconds: float
    step_hint: int
    """Steps that the reference makes in the budget."""
    eval_period_seconds: float
    reference_hardware: str
    """The hardware that the budget was set on."""
    calibrated: bool = False
    """Whether the budget stands for step_hint steps of the AdamW reference, so that a machine may
    measure its own seconds for it (`pacebench calibrate-machine`)."""
    baseline_seconds: Mapping[str, float] = field(default_factory=dict)
    """By ruleset the frozen time to target of the version's baseline, where one is stated."""
    variant_of: str | None = None
    """The base workload of a variant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """One rule version: how often a submission may try, what stops a trial, what counts."""

    version: str
    title: str
    studies: int
    trials: int
    """Trials per study under external tuning."""
    self_tuning_trials: int
    """Trials per study under self-tuning."""
    budget_factor: Mapping[str, float]
    """By ruleset, "external" and "self": multiplies budget_seconds."""
    max_steps_factor: Mapping[str, float] | None = None
    """By ruleset: multiplies step_hint to cap the steps; None caps nothing."""
    budget_check: str
    """"every_step" or "at_eval": when the time used is compared with the budget."""
    eval_when_over_budget: bool
    """Whether an evaluation that is due runs although the budget is used up."""
    stop_at: str
    """"validation" or "validation_and_test": the targets that end a trial."""
    diverged_after_evaluations: int
    """End after so many evaluations in a row without a finite loss; 0 goes on to the budget."""
    halton_sharing: str
    """One of `tuning.space.HALTON_SHARINGS`."""
    matmul_precision: str
    """"highest" (float32) or "default" (what the framework does, TF32 perhaps)."""
    base_workloads: tuple[str, ...]
    """The workloads that a full score averages over."""
    held_out: tuple[str, ...]
    """Variants that a submission must train too, without knowing them beforehand."""
    held_out_gate: bool
    """Whether a miss on a held-out variant makes its base workload a miss, and the reverse."""
    tau_max: float
    """Where performance profiles end, as a ratio to the best time."""
    near_best_factor: float
    """A time above this factor times the best time counts as a miss."""
    workloads_from: tuple[str, ...]
    """Shipped versions whose own workloads are available under this one too."""
    workloads: Mapping[str, WorkloadRules]
    """By name: this version's own, then those borrowed through workloads_from."""

    def workload(self, name: str) -> WorkloadRules:
        """Give the rules of one workload; raises UnknownNameError if this version lacks it."""
        if name not in self.workloads:
            raise unknown_name(f"workload under rules {self.version}", name, self.workloads)
        return self.workloads[name]

    def trials_per_study(self, ruleset: str) -> int:
        """Give the number of trials of a study; raises UnknownNameError for an unknown ruleset."""
        counts = {"external": self.trials, "self": self.self_tuning_trials}
        return counts[_known_ruleset(ruleset)]

    def effective(self, workload: str, ruleset: str, budget_scale: float = 1.0) -> TrialRules:
        """Give the rules of one trial: the factors of its ruleset and `budget_scale` applied.

        budget_seconds = budget_seconds * budget_factor * budget_scale, max_steps = step_hint *
        max_steps_factor, rounded (the scale is about the hardware's speed: it changes no step
        count). Raises UnknownNameError for an unknown workload or ruleset, RulesError if
        `budget_scale` is not a positive finite number.
        """
        limits, ruleset = self.workload(workload), _known_ruleset(ruleset)
        if not is_positive(budget_scale):
            raise RulesError(f"budget scale {budget_scale} is not a finite number above 0")
        max_steps = None
        if self.max_steps_factor is not None:
            max_steps = max(1, round(limits.step_hint * self.max_steps_factor[ruleset]))
        return TrialRules(
            version=self.version,
            ruleset=ruleset,
            metric=limits.metric,
            larger_is_better=limits.larger_is_better,
            validation_target=limits.validation_target,
            test_target=limits.test_target,
            budget_seconds=limits.budget_seconds * self.budget_factor[ruleset] * budget_scale,
            step_hint=limits.step_hint,
            hint_seconds=limits.budget_seconds,
            eval_period_seconds=limits.eval_period_seconds,
            max_steps=max_steps,
            budget_check=self.budget_check,
            eval_when_over_budget=self.eval_when_over_budget,
            stop_at=self.stop_at,
            diverged_after_evaluations=self.diverged_after_evaluations,
            matmul_precision=self.matmul_precision,
        )


def rules_versions() -> list[str]:
    """Give the names of the shipped rule versions, sorted."""
    names = [resource.name for resource in importlib.resources.files("tuning.rules").iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_rules(name_or_path: str | Path) -> Rules:
    """Give a shipped rule version by its name, or a rules file by its path (it ends in .toml).

    Raises UnknownNameError, with a suggestion, for a version that is not shipped, and RulesError
    that names the file and the key for a file that cannot be read or is wrong somewhere.
    """
    where = str(name_or_path)
    raw = _read_file(Path(where)) if where.endswith(".toml") else _read_shipped(where)
    values = checked({k: v for k, v in raw.items() if k != "workloads"}, RULES_KEYS, where)
    workloads = _own_workloads(raw, where)
    for version in values["workloads_from"]:
        _check_known("version", version, rules_versions(), f"{where}, workloads_from")
        for name, limits in _own_workloads(_read_shipped(version), version).items():
            workloads.setdefault(name, limits)
    for key in ("base_workloads", "held_out"):
        for name in values[key]:
            _check_known("workload", name, workloads, f"{where}, {key}")
    for name in values["held_out"]:
        if workloads[name].variant_of is None:
            raise RulesError(f"{where}, held_out: '{name}' is no variant; give it a variant_of")
    return Rules(workloads=workloads, **values)


def _known_ruleset(ruleset: str) -> str:
    if ruleset not in RULESETS:
        raise unknown_name("ruleset", ruleset, RULESETS)
    return ruleset


def _check_known(kind: str, name: str, allowed: Collection[str], where: str) -> None:
    if name not in allowed:
        raise RulesError(f"{where}: {unknown_name(kind, name, allowed)}")


def _read_shipped(version: str) -> dict[str, Any]:
    if version not in rules_versions():
        raise unknown_name("rules version", version, rules_versions())
    resource = importlib.resources.files("tuning.rules").joinpath(f"{version}.toml")
    return tomllib.loads(resource.read_text(encoding="utf-8"))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RulesError(f"cannot read the rules {path}: {error.strerror}") from error
    except ValueError as error:  # of TOML and of UTF-8
        raise RulesError(f"{path} is not valid TOML: {error}") from error


def _own_workloads(raw: Mapping[str, Any], where: str) -> dict[str, WorkloadRules]:
    """The tables [workloads.NAME] of a file; a variant inherits what it does not state."""
    tables = raw.get("workloads", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise RulesError(f"{where}: workloads must be tables, [workloads.NAME]")
    return {name: _workload_rules(name, tables, where) for name in tables}


def _workload_rules(name: str, tables: Mapping[str, Any], where: str) -> WorkloadRules:
    stated = dict(tables[name])
    base = stated.pop("variant_of", None)
    at = f"{where}, workloads.{name}"
    if base is not None:
        bases = [n for n, table in tables.items() if "variant_of" not in table]
        _check_known("base workload", str(base), bases, f"{at}, variant_of")
        stated = {**_inherited(tables[base]), **stated}
    return WorkloadRules(variant_of=base, **checked(stated, WORKLOAD_KEYS, at))


def _inherited(base: Mapping[str, Any]) -> dict[str, Any]:
    """What a variant takes from its base: everything but the targets and times to them."""
    own = ("_target", "baseline_seconds")
    return {key: value for key, value in base.items() if not key.endswith(own)}
