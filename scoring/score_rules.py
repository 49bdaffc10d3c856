"""What of a rule version decides a score, and the columns of a score that follow from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tuning.rules import Rules, load_rules, rules_versions

TAU_MAX = 4.0
"""Where profiles end under rules that say nothing: AlgoPerf's scoring code, `max_tau`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRules:
    """How many trials a full score needs, on which workloads, and which gates there are."""

    version: str
    base_workloads: tuple[str, ...] = ()
    """What a full score averages over; empty under rules that are not known here: all that ran."""
    held_out: Mapping[str, str] = field(default_factory=dict)
    """By held-out variant its base workload, if the version has the held-out gate."""
    near_best_factor: float = TAU_MAX
    """A time above this factor times the best time of its workload counts as a miss."""
    tau_max: float = TAU_MAX
    n_studies: int = 0
    """Of a full score; 0 under rules that are not known here."""
    n_trials: int = 0
    """Per study."""
    baseline_seconds: Mapping[str, float] = field(default_factory=dict)
    """By workload a frozen time to target of the baseline, where the version states one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The workloads that decide a score, in the order in which all arrays hold them."""

    base: tuple[str, ...]
    held_out: tuple[str, ...]
    gated: tuple[int, ...]
    """For each held-out workload the place of its base workload in `base`."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them: base first, then held-out."""
        return (*self.base, *self.held_out)


def score_rules(rules: Rules, ruleset: str) -> ScoreRules:
    """Give what decides a score under a rule version and a ruleset."""
    gate = {name: rules.workload(name).variant_of or "" for name in rules.held_out}
    frozen = {n: limits.baseline_seconds.get(ruleset) for n, limits in rules.workloads.items()}
    return ScoreRules(
        version=rules.version,
        base_workloads=rules.base_workloads,
        held_out=gate if rules.held_out_gate else {},
        near_best_factor=rules.near_best_factor,
        tau_max=rules.tau_max,
        n_studies=rules.studies,
        n_trials=rules.trials_per_study(ruleset),
        baseline_seconds={name: value for name, value in frozen.items() if value is not None},
    )


def known_score_rules(version: str, ruleset: str) -> ScoreRules:
    """Give the same for the name of a version; one that is not shipped says nothing."""
    if version not in rules_versions():
        return ScoreRules(version=version)
    return score_rules(load_rules(version), ruleset)


def columns_of(workloads: Collection[str], rules: ScoreRules) -> Columns:
    """Give the columns of a score over the workloads that ran.

    Base workloads that nobody ran are left out (the score is then not a full one), and so are
    other workloads, unless not a single base workload ran. A held-out variant is a gate only if
    somebody ran it.
    """
    base = tuple(name for name in rules.base_workloads if name in workloads)
    base = base or tuple(sorted(set(workloads) - set(rules.held_out))) or tuple(sorted(workloads))
    held_out = tuple(v for v, b in rules.held_out.items() if v in workloads and b in base)
    return Columns(
        base=base,
        held_out=held_out,
        gated=tuple(base.index(rules.held_out[variant]) for variant in held_out),
    )
