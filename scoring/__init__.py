"""The leaderboard: exact times, profiles and scores as pure functions over tables.

    runs = read_runs([Path("runs")])       # tables of trials and evaluations, checked
    board = score_runs(runs)               # times, ratios, profile, score, rank and notes
    print(board.table)

Nothing here runs a trial or imports torch or jax; a folder of runs is all that is shared.
"""

from scoring.leaderboard import Scoreboard, leaderboard_records, score_runs
from scoring.profiles import TAU_MAX, performance_profile, ratios_to_best, scores
from scoring.read import Runs, RunSelection, read_runs
from scoring.time_to_target import study_times, trial_times, workload_times

__all__ = [
    "TAU_MAX",
    "RunSelection",
    "Runs",
    "Scoreboard",
    "leaderboard_records",
    "performance_profile",
    "ratios_to_best",
    "read_runs",
    "score_runs",
    "scores",
    "study_times",
    "trial_times",
    "workload_times",
]
