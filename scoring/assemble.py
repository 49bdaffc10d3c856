"""Puts what was found and read into one table each of trials, evaluations and dirt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scoring.algoperf_runs import LEFT_OUT, read_places, tree_dirt
from scoring.checks import check_comparable
from scoring.dirt import dirt_in, with_set_aside
from scoring.own_runs import row_table, trial_record
from scoring.read import Found, RunSelection
from scoring.tables import TRIAL_COLUMNS, Runs, dirt_table, typed
from scoring.trial_folder import read_trial_folder

_ORDER = ["submission", "workload", "framework", "study", "trial", "folder"]
_Read = tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, str]]]
"""Records of trials, their evaluations by place in that list, and dirt."""


def assembled(found: Found, selection: RunSelection) -> Runs:
    """Give the tables of the trials found; raises LogsError if they cannot be compared."""
    parts = [_read_own(found)] if found.plans else []
    if found.judge is not None and found.places:
        contents = iter(found.reading.contents())
        parts.append(read_places(found.places, contents, found.judge, selection))
    trials, rows, dirt = _joined(parts)
    check_comparable(trials, is_mixed_hardware_allowed=selection.is_mixed_hardware_allowed)
    trials = with_set_aside(trials, found.rules)
    dirt += [record for tree in found.trees for record in tree_dirt(tree)]
    dirt += [
        {
            "kind": f"workload that rules {found.rules.version} do not have",
            "submission": place.submission,
            "where": place.name,
            "effect": LEFT_OUT,
        }
        for place in found.unknown
    ]
    return Runs(
        trials=trials,
        rows=rows,
        dirt=dirt_table([*dirt, *dirt_in(trials, rows, found.rules)]),
        rules=found.rules,
        ruleset=found.ruleset,
        unit=trials["unit"].iloc[0],
    )


def _read_own(found: Found) -> _Read:
    folders = [read_trial_folder(path, plan) for path, plan in found.plans]
    return [trial_record(folder) for folder in folders], row_table(list(enumerate(folders))), []


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
