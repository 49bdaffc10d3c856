"""Why the documented definition and AlgoPerf's code score a submission differently, cell by cell.

The two methods differ in a few fields (`scoring.methods.Method`). They are changed one after the
other from `exact` to `published`, and what each change adds to the area of each submission on each
workload is written down; so the differences add up to the whole.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from scoring.leaderboard import Scoreboard, score_runs
from scoring.methods import EXACT, PUBLISHED
from scoring.tables import Runs

WHY = {
    "is_budget_kept": "evaluations after the budget count",
    "is_missing_study_missed": "missing studies are left out instead of missed",
    "is_fewest_evaluations_first": "a study's trial is the one with the fewest evaluations",
    "is_best_before_gates": "ratios are to the best that passes the gates, not to the best",
    "n_grid_points": "the trapezoid rule on 100 points instead of the exact area",
}
"""The fields in the order in which they are changed, and what the change to `published` means."""


def explain(runs: Runs) -> pd.DataFrame:
    """Give every cell whose area differs: one row per submission, workload and field.

    Columns: `submission`, `workload`, `field`, `why`, `score_change` (what it adds to the score
    when it becomes as published), and time and ratio before and after the change (`time_exact`,
    `time_published`, `ratio_exact`, `ratio_published`).
    """
    before = score_runs(runs, method=EXACT)
    parts = []
    for field, why in WHY.items():
        method = replace(before.method, **{field: getattr(PUBLISHED, field)})
        after = score_runs(runs, method=method)
        parts.append(_changes(before, after).assign(field=field, why=why))
        before = after
    columns = ["submission", "workload", "field", "why", "score_change"]
    columns += ["time_exact", "time_published", "ratio_exact", "ratio_published"]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _changes(before: Scoreboard, after: Scoreboard) -> pd.DataFrame:
    change = (after.areas - before.areas) / before.areas.shape[1]
    records = []
    for s, w in zip(*np.nonzero(change.abs().to_numpy() > 1e-12), strict=True):
        cell = (change.index[s], change.columns[w])
        records.append(
            {
                "submission": cell[0],
                "workload": cell[1],
                "score_change": change.loc[cell],
                "time_exact": before.times.loc[cell],
                "time_published": after.times.loc[cell],
                "ratio_exact": before.ratios.loc[cell],
                "ratio_published": after.ratios.loc[cell],
            }
        )
    return pd.DataFrame(records)
