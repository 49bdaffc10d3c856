"""Every table about how sure a leaderboard is, by its name: what `--how-sure` and websites show."""

from __future__ import annotations

import pandas as pd

from scoring import independent, sensitivity
from scoring.leaderboard import Scoreboard
from scoring.tables import Runs
from scoring.tuning_budget import tuning_budget


def sureness_tables(
    runs: Runs, board: Scoreboard, reference: str | None = None
) -> dict[str, pd.DataFrame]:
    """Give every table about uncertainty by its name; `reference` is the submission of speedups.

    The reference is the best-ranked submission if None. Raises UnknownNameError for another.
    """
    found = {
        "without_each_workload": sensitivity.without_each_workload(board),
        "without_each_submission": sensitivity.without_each_submission(board),
        "by_tau": sensitivity.by_tau(board),
        "by_relaxed_target": sensitivity.by_relaxed_target(runs, board),
        "by_study_count": sensitivity.by_study_count(board),
        "by_cost": sensitivity.by_cost(runs, board),
        "tuning_budget": tuning_budget(board),
        "speedups": independent.speedups(board, reference or board.table["submission"].iloc[0]),
        "hit_rates": independent.hit_rates(board),
        "expected_running_times": independent.expected_running_times(board),
        "survival": independent.survival_curves(board),
        "wins_ties_losses": independent.wins_ties_losses(board),
    }
    baseline = board.score_rules.baseline_seconds
    if board.unit == "seconds" and any(name in baseline for name in board.columns.base):
        found["fixed_reference"] = independent.fixed_reference_scores(board, baseline)
    return found
