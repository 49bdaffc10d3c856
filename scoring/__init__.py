"""The leaderboard: exact times, profiles and scores as pure functions over tables.

    runs = read_runs([Path("runs")])       # tables of trials, evaluations and dirt
    board = score_runs(runs)               # times, ratios, profile, score, rank and notes
    print(board.table)

Nothing here runs a trial or imports torch or jax; a folder of runs, or of AlgoPerf's logs, is all
that is shared. `Scoreboard.studies` holds the times that everything statistical starts from.
"""

from scoring.leaderboard import Scoreboard, leaderboard_records, score_runs
from scoring.methods import EXACT, METHODS, PUBLISHED, Method
from scoring.profiles import performance_profile, ratios_to_best, scores
from scoring.read import RunSelection, read_runs
from scoring.score_rules import TAU_MAX, ScoreRules
from scoring.tables import Runs
from scoring.time_to_target import study_table, study_times, trial_times, workload_times

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
