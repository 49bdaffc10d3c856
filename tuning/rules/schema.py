"""What a rules file must hold, key by key, and the check that says what is wrong with one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pacebench.errors import RulesError, unknown_name
from tuning.space import HALTON_SHARINGS

RULESETS = ("external", "self")
"""Who tunes: the benchmark, by trials drawn from a search space, or the submission itself."""
BUDGET_CHECKS = ("every_step", "at_eval")
STOPS_AT = ("validation", "validation_and_test")
MATMUL_PRECISIONS = ("highest", "default")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One key of a rules file; its value comes from TOML and may be anything."""

    allowed: str
    """The allowed values, in words."""
    accepts: Callable[[Any], bool]
    gives: Callable[[Any], Any]
    """Turns an accepted value into the value that is kept."""
    is_required: bool = True


def checked(raw: Mapping[str, Any], keys: Mapping[str, Key], where: str) -> dict[str, Any]:
    """Give the values of a table, converted; keys that are optional and absent stay out.

    Raises RulesError that names `where` and every missing key, or the first unknown key (with a
    suggestion) or wrong value (with what is allowed).
    """
    for name in raw:
        if name not in keys:
            raise RulesError(f"{where}: {unknown_name('key', name, keys)}")
    missing = [name for name, key in keys.items() if key.is_required and name not in raw]
    if missing:
        raise RulesError(f"{where} lacks {', '.join(missing)}")
    for name, value in raw.items():
        if not keys[name].accepts(value):
            raise RulesError(f"{where}: {name} is {value!r}; it must be {keys[name].allowed}")
    return {name: keys[name].gives(value) for name, value in raw.items()}


def is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0; True is not a number here."""
    return _is_number(value) and value > 0


def _is_number(value: Any) -> bool:
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and -sys.float_info.max <= value <= sys.float_info.max


def _text() -> Key:
    return Key(allowed="a text", accepts=lambda v: isinstance(v, str) and bool(v), gives=str)


def _folder_name() -> Key:
    """A version names a folder of runs, so it must be a plain folder name everywhere."""
    return Key(
        allowed="letters, digits, '.', '-' and '_', starting with a letter or digit",
        accepts=lambda v: isinstance(v, str) and bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*", v, re.A)),
        gives=str,
    )


def _flag(*, is_required: bool = True) -> Key:
    return Key(
        allowed="true or false",
        accepts=lambda v: isinstance(v, bool),
        gives=bool,
        is_required=is_required,
    )


def _one_of(values: Sequence[str]) -> Key:
    words = " or ".join(f"'{value}'" for value in values)
    return Key(allowed=words, accepts=lambda v: isinstance(v, str) and v in values, gives=str)


def _names() -> Key:
    return Key(
        allowed="a list of names",
        accepts=lambda v: isinstance(v, list) and all(isinstance(name, str) for name in v),
        gives=tuple,
    )


def _count(least: int) -> Key:
    return Key(
        allowed=f"a whole number, {least} or more",
        accepts=lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least,
        gives=int,
    )


def _number(*, is_required: bool = True) -> Key:
    words = "a finite number"
    return Key(allowed=words, accepts=_is_number, gives=float, is_required=is_required)


def _above(bound: float) -> Key:
    return Key(
        allowed=f"a finite number above {bound}",
        accepts=lambda v: _is_number(v) and v > bound,
        gives=float,
    )


def _factor_by_ruleset(*, is_required: bool = True) -> Key:
    return Key(
        allowed="{external = NUMBER, self = NUMBER} with numbers above 0",
        accepts=lambda v: (
            isinstance(v, dict) and set(v) == set(RULESETS) and all(map(is_positive, v.values()))
        ),
        gives=lambda v: {ruleset: float(v[ruleset]) for ruleset in RULESETS},
        is_required=is_required,
    )


def _seconds_by_ruleset() -> Key:
    return Key(
        allowed="a table of numbers above 0 by ruleset, as { external = 3600 }",
        accepts=lambda v: (
            isinstance(v, dict) and set(v) <= set(RULESETS) and all(map(is_positive, v.values()))
        ),
        gives=lambda v: {ruleset: float(seconds) for ruleset, seconds in v.items()},
        is_required=False,
    )


RULES_KEYS: Mapping[str, Key] = {
    "version": _folder_name(),
    "title": _text(),
    "studies": _count(1),
    "trials": _count(1),
    "self_tuning_trials": _count(1),
    "budget_factor": _factor_by_ruleset(),
    "max_steps_factor": _factor_by_ruleset(is_required=False),
    "budget_check": _one_of(BUDGET_CHECKS),
    "eval_when_over_budget": _flag(),
    "stop_at": _one_of(STOPS_AT),
    "diverged_after_evaluations": _count(0),
    "halton_sharing": _one_of(HALTON_SHARINGS),
    "matmul_precision": _one_of(MATMUL_PRECISIONS),
    "base_workloads": _names(),
    "held_out": _names(),
    "held_out_gate": _flag(),
    "tau_max": _above(1),
    "near_best_factor": _above(1),
    "workloads_from": _names(),
}
"""The keys at the top of a rules file, as `tuning.rules.Rules` explains them."""

WORKLOAD_KEYS: Mapping[str, Key] = {
    "metric": _text(),
    "larger_is_better": _flag(),
    "validation_target": _number(),
    "test_target": _number(is_required=False),
    "scoring_validation_target": _number(is_required=False),
    "budget_seconds": _above(0),
    "step_hint": _count(1),
    "eval_period_seconds": _above(0),
    "reference_hardware": _text(),
    "calibrated": _flag(is_required=False),
    "baseline_seconds": _seconds_by_ruleset(),
}
"""The keys of a workload's table, as `tuning.rules.WorkloadRules` explains them."""
