"""The leaderboard: exact times, profiles and scores as pure functions over tables.

    runs = read_runs([Path("runs")])       # tables of trials, evaluations and dirt
    board = score_runs(runs)               # times, ratios, profile, score, rank and notes
    print(board.table)

Nothing here runs a trial or imports torch or jax; a folder of runs, or of AlgoPerf's logs, is all
that is shared. `Scoreboard.studies` holds the times that everything statistical starts from.
Names are loaded when they are first used, because pandas takes a while.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoring.leaderboard import Scoreboard, leaderboard_records, score_runs
    from scoring.methods import EXACT, METHODS, PUBLISHED, Method
    from scoring.profiles import performance_profile, ratios_to_best, scores
    from scoring.read import RunSelection, read_runs
    from scoring.score_rules import TAU_MAX, ScoreRules
    from scoring.tables import Runs
    from scoring.time_to_target import study_table, study_times, trial_times, workload_times

_HOMES = {
    "EXACT": "scoring.methods",
    "METHODS": "scoring.methods",
    "Method": "scoring.methods",
    "PUBLISHED": "scoring.methods",
    "RunSelection": "scoring.read",
    "Runs": "scoring.tables",
    "ScoreRules": "scoring.score_rules",
    "Scoreboard": "scoring.leaderboard",
    "TAU_MAX": "scoring.score_rules",
    "leaderboard_records": "scoring.leaderboard",
    "performance_profile": "scoring.profiles",
    "ratios_to_best": "scoring.profiles",
    "read_runs": "scoring.read",
    "score_runs": "scoring.leaderboard",
    "scores": "scoring.profiles",
    "study_table": "scoring.time_to_target",
    "study_times": "scoring.time_to_target",
    "trial_times": "scoring.time_to_target",
    "workload_times": "scoring.time_to_target",
}

__all__ = [
    "EXACT",
    "METHODS",
    "PUBLISHED",
    "TAU_MAX",
    "Method",
    "RunSelection",
    "Runs",
    "ScoreRules",
    "Scoreboard",
    "leaderboard_records",
    "performance_profile",
    "ratios_to_best",
    "read_runs",
    "score_runs",
    "scores",
    "study_table",
    "study_times",
    "trial_times",
    "workload_times",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'scoring' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
