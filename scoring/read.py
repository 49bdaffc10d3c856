"""Finds run folders and AlgoPerf's logs, chooses what is scored, and reads it into typed tables.

Nothing at the top of this file loads pandas: while it is loaded, other processes read the logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench import algoperf_logs as logs
from pacebench.algoperf_tree import LogTree, TrialPlace
from pacebench.errors import LogsError
from pacebench.plan import TrialPlan
from scoring.columns import Reading, Request
from scoring.score_rules import ScoreRules, known_score_rules, score_rules
from scoring.trial_folder import find_tree, no_trials, own_runs, read_plans
from tuning.rules import Rules, load_rules

if TYPE_CHECKING:
    from scoring.tables import Runs

DEFAULT_RULES = "algoperf-0.5"
"""The version that judges AlgoPerf's logs if none is asked for: the logs do not name theirs."""
_TIME = ("accumulated_submission_time", logs.SCORE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSelection:
    """Which of the runs found are scored, by which rules, and what may be mixed."""

    rules: str | None = None
    """A rules version, or the path of a rules file (it ends in .toml)."""
    ruleset: str | None = None
    is_mixed_hardware_allowed: bool = False
    splits: tuple[str, ...] = ("validation",)
    """Of AlgoPerf's logs: the splits whose target metric is read."""
    with_hyperparameters: bool = True
    """Of AlgoPerf's logs: whether the trials' hyperparameters are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The trials that are scored, before their evaluations are read."""

    plans: list[tuple[Path, TrialPlan]]
    """Of pacebench's own trials, with their folders."""
    places: list[TrialPlace]
    """Of AlgoPerf's logs, sorted as the table of trials."""
    unknown: list[TrialPlace]
    """The same on workloads that the rules do not have."""
    trees: list[LogTree]
    judge: Rules | None
    """The rules that AlgoPerf's logs are judged by."""
    rules: ScoreRules
    ruleset: str
    reading: Reading
    """Of the evaluation files of those of `places` that have one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _There:
    """All that lies at or below the paths, before any of it is chosen."""

    trees: list[LogTree]
    plans: list[tuple[Path, TrialPlan]]
    """Of pacebench's own trials, with their folders."""
    places: list[TrialPlace]
    """Of AlgoPerf's logs, each folder once."""
    judge: Rules | None
    """The rules that AlgoPerf's logs are judged by; None where nobody asks for any."""
    counts: Counter[tuple[str, str]]
    """Trials by rules version and ruleset."""


def read_runs(paths: Sequence[Path], selection: RunSelection | None = None) -> Runs:
    """Read all trials at or below `paths`, pacebench's own and those of AlgoPerf's log trees.

    AlgoPerf's are judged by the selected rules, by `DEFAULT_RULES` if none are selected. What is
    not as it should be is listed in the table of dirt. Raises LogsError if there are no trials, if
    files of pacebench's own are damaged, or if trials cannot be compared: several rule versions,
    rulesets, clocks or targets, one trial twice, or (unless allowed) several hardware classes.
    Raises PlanError for a plan of another version.
    """
    selection = selection or RunSelection()
    found = find_runs(paths, selection)
    from scoring.assemble import assembled

    return assembled(found, selection)


def find_runs(paths: Sequence[Path], selection: RunSelection) -> Found:
    """Find the trials, choose those of one rules version and ruleset, and begin to read."""
    there = _look(paths, selection)
    judge = there.judge
    is_file = _is_rules_file(selection)
    version, ruleset = _choose(
        there.counts,
        rules=judge.version if judge is not None and is_file else selection.rules,
        ruleset=selection.ruleset,
    )
    is_judged = judge is not None and judge.version == version
    known = judge.workloads if judge is not None else {}
    asked = sorted((p for p in there.places if is_judged and p.ruleset == ruleset), key=_order)
    in_rules = [place for place in asked if place.workload in known]
    chosen = [item for item in there.plans if _key(item[1]) == (version, ruleset)]
    if not (chosen or in_rules):
        there_are = ", ".join(sorted({place.workload for place in asked}))
        raise LogsError(f"rules {version} have none of the workloads there are: {there_are}")
    return Found(
        plans=chosen,
        places=in_rules,
        unknown=[place for place in asked if place.workload not in known],
        trees=there.trees if is_judged else [],
        judge=judge,
        rules=score_rules(judge, ruleset)
        if judge is not None and is_judged
        else known_score_rules(version, ruleset),
        ruleset=ruleset,
        reading=Reading(
            [
                request_of(place, judge, selection.splits)
                for place in in_rules
                if judge is not None and logs.EVAL_FILE in place.files
            ]
        ),
    )


def leaderboard_selections(paths: Sequence[Path], selection: RunSelection) -> list[RunSelection]:
    """Give a selection for each rules version and ruleset of the runs, that of most trials first.

    Each can be read by `read_runs` alone; what `selection` asks for holds for all of them. Raises
    LogsError if there are no trials.
    """
    there = _look(paths, selection)
    is_file = there.judge is not None and _is_rules_file(selection)
    asked = there.judge.version if there.judge is not None and is_file else selection.rules
    counts = there.counts
    kept = [
        key for key in counts if asked in (None, key[0]) and selection.ruleset in (None, key[1])
    ]
    return [
        replace(selection, rules=selection.rules if is_file else version, ruleset=ruleset)
        for version, ruleset in sorted(kept, key=lambda key: (-counts[key], key))
    ] or [selection]


def _look(paths: Sequence[Path], selection: RunSelection) -> _There:
    """Find all trials; raises LogsError if there are none."""
    trees = [find_tree(path) for path in paths]
    plans = read_plans(own_runs(trees))
    places = list({p.folder: p for tree in trees for p in tree.places}.values())
    if not plans and not places:
        raise no_trials(paths)
    is_asked = places or _is_rules_file(selection)
    judge = load_rules(selection.rules or DEFAULT_RULES) if is_asked else None
    counts = Counter(_key(plan) for _, plan in plans)
    if judge is not None:
        counts.update((judge.version, place.ruleset) for place in places)
    return _There(trees=trees, plans=plans, places=places, judge=judge, counts=counts)


def _is_rules_file(selection: RunSelection) -> bool:
    return selection.rules is not None and selection.rules.endswith(".toml")


def request_of(place: TrialPlace, rules: Rules, splits: Sequence[str]) -> Request:
    """Give what is read of a trial: step, time, and the target metric on the splits."""
    metric = rules.workload(place.workload).metric
    metrics = tuple((f"{split}/{metric}",) for split in splits)
    return Request(f"{place.folder}/{logs.EVAL_FILE}", ((logs.STEP,), _TIME, *metrics))


def _choose(
    there: Counter[tuple[str, str]], *, rules: str | None, ruleset: str | None
) -> tuple[str, str]:
    """Choose the one rules version and ruleset (`external` or `self`) that is scored.

    `there` counts trials by both; `rules` and `ruleset` leave only their own. Raises LogsError if
    nothing is left, or more than one version or ruleset.
    """
    kept = [key for key in there if rules in (None, key[0]) and ruleset in (None, key[1])]
    texts = ", ".join(f"{v} {r} ({n} trials)" for (v, r), n in sorted(there.items()))
    if not kept:
        options = (("rules", rules), ("ruleset", ruleset))
        asked = " ".join(f"--{name} {value}" for name, value in options if value is not None)
        raise LogsError(f"no trials under {asked}; there are: {texts}")
    for i, option in enumerate(("rules", "ruleset")):
        values = {key[i] for key in kept}
        if len(values) > 1:
            raise LogsError(
                f"trials of different {option} have no common score: {texts}; "
                f"choose one with --{option} ({' or '.join(sorted(values))})"
            )
    return kept[0]


def _key(plan: TrialPlan) -> tuple[str, str]:
    return plan.rules.version, plan.rules.ruleset


def _order(place: TrialPlace) -> tuple[str, str, str, int, int, str]:
    return (
        *(place.submission, place.workload, place.framework),
        *(place.study, place.trial, place.folder),
    )
