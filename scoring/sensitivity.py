"""How the ranks change with what went into them: workloads, the field, tau, targets, studies, cost.

Every function gives one long table with the columns `submission`, `score` and `rank`, and before
them what was changed. Nothing is random here: all subsets are made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from scoring.leaderboard import Scoreboard
from scoring.methods import Method
from scoring.profiles import Floats, areas, gated_ratios, mean_area, ratios_of, scores_of
from scoring.score_rules import Columns
from scoring.tables import Runs
from scoring.time_to_target import COSTS, median_of_studies, study_times, trial_times

TAUS = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
RELAXED = (0.0025, 0.005, 0.01, 0.02, 0.05)


def without_each_workload(board: Scoreboard) -> pd.DataFrame:
    """Give the scores without each base workload and its held-out variants: `left_out`, …

    Empty if there is only one.
    """
    columns, times_SW = board.columns, board.times.to_numpy()
    parts = []
    for workload in columns.base if len(columns.base) > 1 else ():
        kept = _without(columns, workload)
        places = [columns.names.index(name) for name in kept.names]
        scores = scores_of(
            times_SW[:, places], kept, board.score_rules, board.method, board.tau_max
        )
        parts.append(_scored(board, scores, left_out=workload))
    return _joined(parts, "left_out")


def _without(columns: Columns, workload: str) -> Columns:
    base = tuple(name for name in columns.base if name != workload)
    of = {v: columns.base[b] for v, b in zip(columns.held_out, columns.gated, strict=True)}
    held_out = tuple(v for v in columns.held_out if of[v] != workload)
    return Columns(base=base, held_out=held_out, gated=tuple(base.index(of[v]) for v in held_out))


def without_each_submission(board: Scoreboard) -> pd.DataFrame:
    """Give the scores of the others without each submission: `left_out`, …

    A score is relative to the best of the field, so leaving out one changes the others'.
    """
    times_SW, names = board.times.to_numpy(), list(board.times.index)
    parts = []
    for i, name in enumerate(names if len(names) > 1 else []):
        others = np.delete(times_SW, i, axis=0)
        scores = scores_of(others, board.columns, board.score_rules, board.method, board.tau_max)
        parts.append(_ranked(names[:i] + names[i + 1 :], scores, left_out=name))
    return _joined(parts, "left_out")


def order_changes(board: Scoreboard) -> pd.DataFrame:
    """Give every pair whose order turns round when a third submission is left out, and why.

    Columns: `left_out`, `first` (now before the other), `second`, and the deciding cell: the
    `workload` on which the difference of their areas moved most, the `submission` of the two
    whose area moved more there, that area with everybody (`area_with`) and without
    (`area_without`), and the same of its ratio to the best (`ratio_with`, `ratio_without`, inf if
    missed or closed by a gate). If a held-out variant opened or closed its gate there, `held_out`
    names it and `held_out_with`, `held_out_without` are its ratios; else it is empty and they are
    NaN.
    """
    names = list(board.times.index)
    ratios_with, areas_with = _cells(board, board.times.to_numpy())
    score_with = mean_area(areas_with)
    records = []
    for i, left_out in enumerate(names if len(names) > 2 else []):
        kept = [j for j in range(len(names)) if j != i]
        ratios, area = _cells(board, board.times.to_numpy()[kept])
        score = mean_area(area)
        for a, b in combinations(range(len(kept)), 2):
            before, now = score_with[kept[a]] - score_with[kept[b]], score[a] - score[b]
            if before * now >= 0:
                continue
            first, second = (a, b) if now > 0 else (b, a)
            moved = area - areas_with[kept]
            at = int((moved[first] - moved[second]).argmax())
            cell = max((first, second), key=lambda s: abs(moved[s, at]))
            records.append(
                {
                    "left_out": left_out,
                    "first": names[kept[first]],
                    "second": names[kept[second]],
                    "workload": board.columns.base[at],
                    "submission": names[kept[cell]],
                    "area_with": areas_with[kept[cell], at],
                    "area_without": area[cell, at],
                    "ratio_with": ratios_with[kept[cell], at],
                    "ratio_without": ratios[cell, at],
                    **_gate(board, kept, kept[cell], at),
                }
            )
    columns = ["left_out", "first", "second", "workload", "submission"]
    columns += ["area_with", "area_without", "ratio_with", "ratio_without"]
    columns += ["held_out", "held_out_with", "held_out_without"]
    return pd.DataFrame(records, columns=columns)


def _gate(board: Scoreboard, kept: list[int], submission: int, base: int) -> dict[str, object]:
    """Say which held-out variant of a base workload passes with some of the field but not all."""
    columns, times_SW = board.columns, board.times.to_numpy()
    with_all, without = ratios_of(times_SW), ratios_of(times_SW[kept])
    limit = board.score_rules.near_best_factor
    for i, (name, of) in enumerate(zip(columns.held_out, columns.gated, strict=True)):
        place = len(columns.base) + i
        one, other = with_all[submission, place], without[kept.index(submission), place]
        if of == base and (one <= limit) != (other <= limit):
            return {"held_out": name, "held_out_with": one, "held_out_without": other}
    return {"held_out": "", "held_out_with": math.nan, "held_out_without": math.nan}


def _cells(board: Scoreboard, times_SW: Floats) -> tuple[Floats, Floats]:
    """Give the ratios after the gates and the areas, both submissions by base workloads."""
    ratios = gated_ratios(times_SW, board.columns, board.score_rules, board.method)
    base = ratios[:, : len(board.columns.base)]
    return base, areas(base, board.tau_max, board.method.n_grid_points)


def by_tau(board: Scoreboard, taus: Sequence[float] = TAUS) -> pd.DataFrame:
    """Give the scores with profiles up to other values of tau: `tau_max`, …"""
    ratios = board.ratios[list(board.columns.base)].to_numpy()
    parts = []
    for tau in taus:
        scores = mean_area(areas(ratios, tau, board.method.n_grid_points))
        parts.append(_scored(board, scores, tau_max=tau))
    return _joined(parts, "tau_max")


def by_relaxed_target(
    runs: Runs, board: Scoreboard, shares: Sequence[float] = RELAXED
) -> pd.DataFrame:
    """Give the scores with all targets made easier by a share of their size: `relaxed`, …

    Learning curves hold what was reached on the way, so an easier target can be read off them.
    """
    parts = []
    for share in shares:
        times_SW = _medians(runs, board, board.method, relaxed=share)
        scores = scores_of(times_SW, board.columns, board.score_rules, board.method, board.tau_max)
        parts.append(_scored(board, scores, relaxed=share))
    return _joined(parts, "relaxed")


def by_study_count(board: Scoreboard) -> pd.DataFrame:
    """Give the spread of scores if fewer studies had been made: over all subsets of each size.

    Columns: `n_studies`, `submission`, `score` and `rank` (medians over the subsets), `score_low`,
    `score_high`, `rank_low`, `rank_high` (least and most). The same studies are taken of all
    submissions and workloads. With 3 of 5 studies there are 10 subsets.
    """
    times_SWK = board.studies.times
    n_slots = times_SWK.shape[2]
    parts = []
    for n in range(1, n_slots):
        subsets = list(combinations(range(n_slots), n))
        medians = np.stack([median_of_studies(times_SWK[:, :, list(kept)]) for kept in subsets])
        scores = scores_of(medians, board.columns, board.score_rules, board.method, board.tau_max)
        ranks = 1 + (scores[:, :, None] < scores[:, None, :]).sum(axis=2)
        table = pd.DataFrame(
            {
                "n_studies": n,
                "submission": board.studies.submissions,
                "score": np.median(scores, axis=0),
                "rank": np.median(ranks, axis=0),
                "score_low": scores.min(axis=0),
                "score_high": scores.max(axis=0),
                "rank_low": ranks.min(axis=0),
                "rank_high": ranks.max(axis=0),
            }
        )
        parts.append(_in_order(board, table))
    return _joined(parts, "n_studies")


def by_cost(runs: Runs, board: Scoreboard) -> pd.DataFrame:
    """Give the scores if a target is charged in other things than time: `cost`, …

    `cost` is one of `scoring.time_to_target.COSTS`: the time of the clock, steps, evaluations of
    the metric, or calls of the model where every trial that reached its target logged them. Budget
    and gates stay those of the clock and of the factor.
    """
    parts = []
    for cost in COSTS:
        times_SW = _medians(runs, board, board.method, cost=cost)
        is_logged = cost == "time" or np.array_equal(np.isinf(times_SW), np.isinf(board.times))
        if is_logged:
            scores = scores_of(
                times_SW, board.columns, board.score_rules, board.method, board.tau_max
            )
            parts.append(_scored(board, scores, cost=cost))
    return _joined(parts, "cost")


def _medians(
    runs: Runs, board: Scoreboard, method: Method, *, relaxed: float = 0.0, cost: str = "time"
) -> Floats:
    counting = runs.trials[runs.trials["set_aside"] == ""]
    trials = trial_times(counting, runs.rows, method, relaxed)
    return median_of_studies(study_times(trials, board.columns, method, cost).times)


def _scored(board: Scoreboard, scores: Floats, **changed: object) -> pd.DataFrame:
    return _in_order(board, _ranked(list(board.times.index), scores, **changed))


def _ranked(names: Sequence[str], scores: Floats, **changed: object) -> pd.DataFrame:
    ranks = 1 + (scores[:, None] < scores[None, :]).sum(axis=1)
    return pd.DataFrame({**changed, "submission": names, "score": scores, "rank": ranks})


def _in_order(board: Scoreboard, table: pd.DataFrame) -> pd.DataFrame:
    """Put the rows in the order of the leaderboard."""
    return table.set_index("submission").loc[board.table["submission"]].reset_index()[table.columns]


def _joined(parts: Sequence[pd.DataFrame], changed: str) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=[changed, "submission", "score", "rank"])
    return pd.concat(parts, ignore_index=True)
