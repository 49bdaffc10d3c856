"""The leaderboard: who is first, with every number that the rank comes from."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.dirt import scored_columns
from scoring.methods import EXACT, Method
from scoring.notes import notes_on
from scoring.profiles import areas, gated_ratios, mean_area, performance_profile
from scoring.score_rules import Columns, ScoreRules
from scoring.tables import Runs
from scoring.time_to_target import (
    StudyTimes,
    best_trials,
    median_of_studies,
    study_times,
    trial_times,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoreboard:
    """A score of all submissions in some runs; all tables are sorted and complete."""

    table: pd.DataFrame
    """One row per submission, best first: `rank` (ties share it), `submission`, `frameworks`,
    `score`, `n_reached` and `n_workloads` (of those averaged over), `is_full` (whether every
    planned trial is there), and per workload w, held-out ones included, `time/w`, `ratio/w` (inf
    for a miss, or where a gate closed it) and `hyperparameters/w` (JSON of the best trial; empty
    if there is no trial)."""
    times: pd.DataFrame
    """Submissions by workloads: time to target in `unit`; inf for a miss."""
    ratios: pd.DataFrame
    """Submissions by workloads: time divided by the best, after the gates; inf for a miss."""
    areas: pd.DataFrame
    """Submissions by base workloads: the normalised area in [0, 1]; the score is their mean."""
    profile: pd.DataFrame
    """See `scoring.profiles.performance_profile`."""
    studies: StudyTimes
    """The times of all studies, which uncertainty is computed from."""
    trials: pd.DataFrame
    """The trials that count, with what `trial_times` adds and `is_best` (of its submission on its
    workload)."""
    notes: tuple[str, ...]
    """What keeps this from being a full score, in words."""
    dirt: pd.DataFrame
    """See `scoring.tables.DIRT_COLUMNS`."""
    is_full_score: bool
    """Whether every submission has every planned trial on every workload of the rules."""
    score_rules: ScoreRules
    method: Method
    ruleset: str
    unit: str
    """"seconds" or "steps"."""
    tau_max: float

    @property
    def rules(self) -> str:
        """The version of the rules."""
        return self.score_rules.version

    @property
    def columns(self) -> Columns:
        """The workloads that decide the score."""
        return self.studies.columns


def score_runs(runs: Runs, tau_max: float | None = None, method: Method = EXACT) -> Scoreboard:
    """Score runs that were read by `scoring.read.read_runs`; tau_max is the rules' if None."""
    rules = runs.rules
    tau = rules.tau_max if tau_max is None else tau_max
    counting = runs.trials[runs.trials["set_aside"] == ""]
    columns = scored_columns(counting, rules)
    trials = trial_times(counting, runs.rows, method)
    best = best_trials(trials)
    trials = trials.assign(is_best=trials.index.isin(best.index))
    studies = study_times(trials, columns, method)
    times = _frame(median_of_studies(studies.times), studies.submissions, columns.names)
    ratios = _frame(
        gated_ratios(times.to_numpy(), columns, rules, method), studies.submissions, columns.names
    )
    base = ratios[list(columns.base)]
    area = _frame(
        areas(base.to_numpy(), tau, method.n_grid_points), studies.submissions, columns.base
    )
    facts = pd.DataFrame(
        {
            "score": mean_area(area.to_numpy()),
            "n_reached": np.isfinite(base).sum(axis=1),
            "n_workloads": len(columns.base),
            "is_full": _is_full(trials, columns, rules),
        },
        index=times.index,
    )
    notes = notes_on(trials, rules)
    return Scoreboard(
        table=_table(times, ratios, facts, best),
        times=times,
        ratios=ratios,
        areas=area,
        profile=performance_profile(base, tau),
        studies=studies,
        trials=trials,
        notes=notes,
        dirt=runs.dirt,
        is_full_score=bool(facts["is_full"].all())
        and not any(note.startswith("not a full score") for note in notes),
        score_rules=rules,
        method=method,
        ruleset=runs.ruleset,
        unit=runs.unit,
        tau_max=tau,
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
                "is_full": bool(row["is_full"]),
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
    times: pd.DataFrame, ratios: pd.DataFrame, facts: pd.DataFrame, best: pd.DataFrame
) -> pd.DataFrame:
    frameworks = best.groupby("submission")["framework"].agg(lambda f: ", ".join(sorted(set(f))))
    points = best.pivot(index="submission", columns="workload", values="hyperparameters")
    columns: dict[str, Any] = {
        "rank": facts["score"].rank(method="min", ascending=False).astype("int64"),
        "frameworks": frameworks.reindex(facts.index),
        **facts,
    }
    for workload in times.columns:
        columns[f"time/{workload}"] = times[workload]
        columns[f"ratio/{workload}"] = ratios[workload]
        columns[f"hyperparameters/{workload}"] = points[workload].reindex(times.index).fillna("")
    table = pd.DataFrame(columns).reset_index()
    table.insert(0, "rank", table.pop("rank"))
    return table.sort_values(["rank", "submission"], ignore_index=True)


def _is_full(trials: pd.DataFrame, columns: Columns, rules: ScoreRules) -> pd.Series[bool]:
    """Whether a submission has all trials of a full score; never under rules not known here."""
    n_cells = len(rules.base_workloads) + len(rules.held_out)
    n_planned = n_cells * rules.n_studies * rules.n_trials
    n_there = trials[trials["workload"].isin(columns.names)].groupby("submission").size()
    return (n_there == n_planned) & (n_planned > 0)


def _frame(
    values: NDArray[np.float64], submissions: Sequence[str], workloads: Sequence[str]
) -> pd.DataFrame:
    return pd.DataFrame(
        values,
        index=pd.Index(list(submissions), name="submission", dtype="str"),
        columns=pd.Index(list(workloads), name="workload", dtype="str"),
    )


def _trial_record(trial: pd.Series[Any]) -> dict[str, Any]:
    return {
        "study": int(trial["study"]),
        "trial": int(trial["trial"]),
        "time": _finite_or_none(trial["time_to_target"]),
        "hyperparameters": json.loads(trial["hyperparameters"] or "{}"),
    }


def _finite_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
