"""Reads run folders and AlgoPerf's log trees into typed tables of trials and evaluations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pacebench.algoperf_tree import LogTree, TrialPlace, find_trials
from pacebench.plan import TrialPlan
from scoring.algoperf_runs import LEFT_OUT, read_places, tree_dirt
from scoring.checks import check_comparable, choose
from scoring.dirt import dirt_in, with_set_aside
from scoring.own_runs import row_table, trial_record
from scoring.score_rules import known_score_rules, score_rules
from scoring.tables import TRIAL_COLUMNS, Runs, dirt_table, typed
from scoring.trial_folder import no_trials, read_plans, read_trial_folder
from tuning.rules import Rules, load_rules

DEFAULT_RULES = "algoperf-0.5"
"""The version that judges AlgoPerf's logs if none is asked for: the logs do not name theirs."""
_ORDER = ["submission", "workload", "framework", "study", "trial", "folder"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSelection:
    """Which of the runs found are scored, by which rules, and what may be mixed."""

    rules: str | None = None
    """A rules version, or the path of a rules file (it ends in .toml)."""
    ruleset: str | None = None
    is_mixed_hardware_allowed: bool = False
    splits: tuple[str, ...] = ("validation",)
    """Of AlgoPerf's logs: the splits whose target metric is read."""


def read_runs(paths: Sequence[Path], selection: RunSelection | None = None) -> Runs:
    """Read all trials at or below `paths`, pacebench's own and those of AlgoPerf's log trees.

    AlgoPerf's are judged by the selected rules, by `DEFAULT_RULES` if none are selected. What is
    not as it should be is listed in the table of dirt. Raises LogsError if there are no trials, if
    files of pacebench's own are damaged, or if trials cannot be compared: several rule versions,
    rulesets, clocks or targets, one trial twice, or (unless allowed) several hardware classes.
    Raises PlanError for a plan of another version.
    """
    selection = selection or RunSelection()
    plans = read_plans(paths)
    trees = [find_trials(path) for path in paths]
    if not plans and not any(tree.places for tree in trees):
        raise no_trials(paths)
    places = list({p.folder: p for tree in trees for p in tree.places}.values())
    is_file = selection.rules is not None and selection.rules.endswith(".toml")
    judge = load_rules(selection.rules or DEFAULT_RULES) if places or is_file else None
    found = Counter(_key(plan) for _, plan in plans)
    if judge is not None:
        found.update((judge.version, place.ruleset) for place in places)
    version, ruleset = choose(
        found,
        rules=judge.version if judge is not None and is_file else selection.rules,
        ruleset=selection.ruleset,
    )
    parts = [_read_own([item for item in plans if _key(item[1]) == (version, ruleset)])]
    rules = known_score_rules(version, ruleset)
    if judge is not None and judge.version == version:
        rules = score_rules(judge, ruleset)
        asked = [place for place in places if place.ruleset == ruleset]
        parts.append(_read_logs(asked, trees, judge, selection.splits))
    runs = _joined(parts)
    check_comparable(runs[0], is_mixed_hardware_allowed=selection.is_mixed_hardware_allowed)
    trials = with_set_aside(runs[0], rules)
    return Runs(
        trials=trials,
        rows=runs[1],
        dirt=dirt_table([*runs[2], *dirt_in(trials, runs[1], rules)]),
        rules=rules,
        ruleset=ruleset,
        unit=trials["unit"].iloc[0],
    )


_Read = tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, str]]]
"""Records of trials, their evaluations by place in that list, and dirt."""


def _read_own(plans: Sequence[tuple[Path, TrialPlan]]) -> _Read:
    folders = [read_trial_folder(path, plan) for path, plan in plans]
    return [trial_record(folder) for folder in folders], row_table(list(enumerate(folders))), []


def _read_logs(
    places: Sequence[TrialPlace], trees: Sequence[LogTree], rules: Rules, splits: Sequence[str]
) -> _Read:
    known = [place for place in places if place.workload in rules.workloads]
    known.sort(key=lambda p: tuple(getattr(p, name) for name in _ORDER))
    records, rows, dirt = read_places(known, rules, splits)
    dirt += [found for tree in trees for found in tree_dirt(tree)]
    for place in places:
        if place.workload not in rules.workloads:
            kind = f"workload that rules {rules.version} do not have"
            where = {"submission": place.submission, "where": place.name, "effect": LEFT_OUT}
            dirt.append({"kind": kind, **where})
    return records, rows, dirt


def _joined(parts: Sequence[_Read]) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, str]]]:
    """Put what was read into one table each, in order."""
    trials = typed([record for records, _, _ in parts for record in records], TRIAL_COLUMNS)
    order = trials.sort_values(_ORDER).index.to_numpy()
    trials = trials.loc[order].reset_index(drop=True)
    trials.index.name = "trial_id"
    new_id = np.empty(len(order), dtype=np.int64)
    new_id[order] = np.arange(len(order))
    tables, n_before = [], 0
    for records, rows, _ in parts:
        tables.append(rows.assign(trial_id=new_id[rows["trial_id"].to_numpy() + n_before]))
        n_before += len(records)
    rows = pd.concat([table for table in tables if len(table)] or tables[:1])
    rows = rows.sort_values("trial_id", kind="stable", ignore_index=True)
    return trials, rows, [found for _, _, dirt in parts for found in dirt]


def _key(plan: TrialPlan) -> tuple[str, str]:
    return plan.rules.version, plan.rules.ruleset
