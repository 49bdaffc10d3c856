"""The leaderboard: who is first, with every number that the rank comes from."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scoring.notes import notes_on
from scoring.profiles import TAU_MAX, performance_profile, ratios_to_best, scores
from scoring.read import Runs
from scoring.time_to_target import best_trials, trial_times, workload_times


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoreboard:
    """A score of all submissions in some runs; all tables are sorted and complete."""

    table: pd.DataFrame
    """One row per submission, best first: `rank` (ties share it), `submission`, `frameworks`,
    `score`, `n_reached`, `n_workloads`, and per workload w `time/w`, `ratio/w` (inf for a miss)
    and `hyperparameters/w` (JSON of the best trial; empty if there is no trial)."""
    times: pd.DataFrame
    """Submissions by workloads: time to target in `unit`; inf for a miss."""
    ratios: pd.DataFrame
    """Submissions by workloads: time divided by the best of all submissions; inf for a miss."""
    profile: pd.DataFrame
    """See `scoring.profiles.performance_profile`."""
    trials: pd.DataFrame
    """The trials with `time_to_target`, `step_at_target`, `best_validation` and `is_best` (of its
    submission on its workload)."""
    notes: tuple[str, ...]
    """What keeps this from being a full score, in words."""
    rules: str
    ruleset: str
    unit: str
    """"seconds" or "steps"."""
    tau_max: float


def score_runs(runs: Runs, tau_max: float = TAU_MAX) -> Scoreboard:
    """Score runs that were read by `scoring.read.read_runs`."""
    trials = trial_times(runs.trials, runs.rows)
    best = best_trials(trials)
    trials = trials.assign(is_best=trials.index.isin(best.index))
    times = (
        workload_times(trials)
        .pivot(index="submission", columns="workload", values="time")
        .sort_index(axis=0)
        .sort_index(axis=1)
        .fillna(math.inf)
    )
    ratios = ratios_to_best(times)
    return Scoreboard(
        table=_table(times, ratios, scores(ratios, tau_max), best),
        times=times,
        ratios=ratios,
        profile=performance_profile(ratios, tau_max),
        trials=trials,
        notes=notes_on(trials),
        rules=runs.rules,
        ruleset=runs.ruleset,
        unit=runs.unit,
        tau_max=tau_max,
    )


def leaderboard_records(board: Scoreboard) -> list[dict[str, Any]]:
    """Give the leaderboard as values of strict JSON: a time or ratio is None for a miss."""
    best = board.trials[board.trials["is_best"]].set_index(["submission", "workload"])
    records = []
    for row in board.table.to_dict("records"):
        name = row["submission"]
        records.append(
            {
                "rank": int(row["rank"]),
                "submission": name,
                "frameworks": row["frameworks"].split(", "),
                "score": float(row["score"]),
                "workloads_reached": int(row["n_reached"]),
                "workloads": {
                    workload: {
                        "time": _finite_or_none(row[f"time/{workload}"]),
                        "ratio": _finite_or_none(row[f"ratio/{workload}"]),
                        "best_trial": _trial_record(best.loc[(name, workload)])
                        if (name, workload) in best.index
                        else None,
                    }
                    for workload in board.times.columns
                },
            }
        )
    return records


def _table(
    times: pd.DataFrame, ratios: pd.DataFrame, score: pd.Series[float], best: pd.DataFrame
) -> pd.DataFrame:
    frameworks = best.groupby("submission")["framework"].agg(lambda f: ", ".join(sorted(set(f))))
    points = best.pivot(index="submission", columns="workload", values="hyperparameters")
    columns: dict[str, Any] = {
        "rank": score.rank(method="min", ascending=False).astype("int64"),
        "frameworks": frameworks,
        "score": score,
        "n_reached": (times < math.inf).sum(axis=1),
        "n_workloads": times.shape[1],
    }
    for workload in times.columns:
        columns[f"time/{workload}"] = times[workload]
        columns[f"ratio/{workload}"] = ratios[workload]
        columns[f"hyperparameters/{workload}"] = points[workload].reindex(times.index).fillna("")
    table = pd.DataFrame(columns, index=times.index).reset_index()
    table.insert(0, "rank", table.pop("rank"))
    return table.sort_values(["rank", "submission"], ignore_index=True)


def _trial_record(trial: pd.Series[Any]) -> dict[str, Any]:
    return {
        "study": int(trial["study"]),
        "trial": int(trial["trial"]),
        "time": _finite_or_none(trial["time_to_target"]),
        "hyperparameters": json.loads(trial["hyperparameters"]),
    }


def _finite_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
