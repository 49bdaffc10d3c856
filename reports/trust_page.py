"""What the trust page shows: how far an order is decided, by what, and how a score is made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from reports.leaderboard_page import change_texts, dirt_kinds, notes
from reports.paths import submission_page_path
from reports.results import Results
from reports.values import band_name, counted, number

SCRIPTS = ("site.js",)
N_PLACES = 200
"""How many places of one kind of dirt are listed."""
_COSTS = {
    "time": "time",
    "steps": "steps",
    "evaluations": "evaluations",
    "model_evaluations": "calls of the model",
}


def facts(results: Results) -> dict[str, Any]:
    """Give everything that the template shows."""
    return {
        "pairs": pair_rows(results),
        "panels": list(panels(results)),
        "changes": change_texts(results),
        "studies": study_counts(results),
        "speeds": speed_rows(results),
        "example": example(results),
        "notes": notes(results),
        "dirt": [{**kind, "places": _places(results, kind)} for kind in dirt_kinds(results)],
    }


def pair_rows(results: Results) -> list[dict[str, Any]]:
    """Give P(row before column) for all pairs, submissions in the order of the leaderboard."""
    pairs = results.sure.pairs.to_numpy().tolist()
    bands = results.sure.table["band"].tolist()
    return [
        {
            **_named(results, name),
            "band": band_name(int(bands[i])),
            "cells": [{"share": share, "is_self": i == j} for j, share in enumerate(pairs[i])],
        }
        for i, name in enumerate(results.submissions)
    ]


def panels(results: Results) -> Iterator[dict[str, Any]]:
    """Give one table of ranks for each thing that is left out or changed."""
    tables = results.tables
    wanted: tuple[tuple[str, str, str, str, Callable[[Any], str]], ...] = (
        (
            "without_each_workload",
            "left_out",
            "Without one workload",
            "Does one workload make the rank? Its gates are left out with it.",
            str,
        ),
        (
            "without_each_submission",
            "left_out",
            "Without one submission",
            "A score is relative to the best of the field, so a bystander can decide between two.",
            str,
        ),
        (
            "by_tau",
            "tau_max",
            "Profiles up to another τ",
            "Small τ rewards being the fastest, large τ rewards reaching targets at all.",
            lambda tau: f"τ {tau:g}",
        ),
        (
            "by_relaxed_target",
            "relaxed",
            "Easier targets",
            "Is the order an accident of where the line was drawn? Read off the learning curves.",
            lambda share: f"{100 * share:g}%",
        ),
        (
            "by_cost",
            "cost",
            "Charged in something else",
            "A step is whatever the submission calls one; some make several updates in it.",
            lambda cost: _COSTS[cost],
        ),
    )
    for name, by, title, text, say in wanted:
        if len(tables[name]):
            yield {
                "id": name.replace("_", "-"),
                "title": title,
                "text": text,
                **_rank_table(results, tables[name], by, say),
            }


def _rank_table(
    results: Results, table: pd.DataFrame, by: str, say: Callable[[Any], str]
) -> dict[str, Any]:
    columns = list(dict.fromkeys(table[by]))
    ranks = {(r[by], r["submission"]): int(r["rank"]) for r in table.to_dict("records")}
    usual = dict(zip(results.submissions, results.board.table["rank"].tolist(), strict=True))
    last = max(len(results.submissions), 2)
    return {
        "columns": [say(column) for column in columns],
        "rows": [
            {
                **_named(results, name),
                "rank": usual[name],
                "strip": rank_strip([ranks.get((c, name)) for c in columns], usual[name], last),
                "cells": [_rank_cell(ranks.get((column, name)), usual[name]) for column in columns],
            }
            for name in results.submissions
        ],
    }


def rank_strip(ranks: Sequence[int | None], usual: int, last: int) -> dict[str, Any]:
    """Give where ranks lie on a line from the first place (0) to the last (1), and how often.

    >>> rank_strip([1, 2, 2, None], usual=2, last=5)
    {'usual': 0.25, 'dots': [(0.0, 1), (0.25, 2)], 'text': 'from rank 1 to 2'}
    """
    counts = Counter(rank for rank in ranks if rank is not None)
    share = {rank: (rank - 1) / (last - 1) for rank in {*counts, usual}}
    return {
        "usual": share[usual],
        "dots": [(share[rank], counts[rank]) for rank in sorted(counts)],
        "text": f"from rank {min(counts)} to {max(counts)}" if counts else "no ranks",
    }


def _rank_cell(rank: int | None, usual: int) -> dict[str, Any]:
    """Give a rank and how many places it is from the usual one, up being better."""
    return {"rank": rank, "moved": 0 if rank is None else usual - rank}


def study_counts(results: Results) -> dict[str, Any]:
    """Give least and most score over all choices of fewer studies."""
    table = results.tables["by_study_count"]
    counts = list(dict.fromkeys(table["n_studies"])) if len(table) else []
    cells = {
        (r["n_studies"], r["submission"]): f"{r['score_low']:.3f}\N{EN DASH}{r['score_high']:.3f}"
        for r in table.to_dict("records")
    }
    return {
        "columns": [counted(int(n), "study", "studies") for n in counts],
        "rows": [
            {**_named(results, name), "cells": [cells[(n, name)] for n in counts]}
            for name in results.submissions
        ],
    }


def speed_rows(results: Results) -> list[dict[str, Any]]:
    """Give what does not depend on the field: score against frozen times, speedup, wins."""
    fixed = results.tables.get("fixed_reference")
    scores = {} if fixed is None else dict(zip(fixed["submission"], fixed["score"], strict=True))
    wins = results.tables["wins_ties_losses"].groupby("submission")[
        ["n_wins", "n_ties", "n_losses"]
    ]
    totals = wins.sum().to_dict("index")
    none = {"n_wins": 0, "n_ties": 0, "n_losses": 0}
    return [
        {
            **_named(results, name),
            "fixed": float(scores.get(name, math.nan)),
            **{str(k): int(v) for k, v in totals.get(name, none).items()},
        }
        for name in results.submissions
    ]


def example(results: Results) -> dict[str, Any]:
    """Follow the best submission's score from one workload's studies to the mean of the areas.

    The workload is the one of those it reached on which its ratio is nearest to the middle of
    [1, tau_max], so that the formula has something to do.
    """
    board = results.board
    name = results.submissions[0]
    areas, times = results.areas[name], results.times
    reached = {
        w: results.ratios[name][w] for w in areas if results.ratios[name][w] <= board.tau_max
    }
    found: dict[str, Any] = {
        "submission": name,
        "areas": [{"workload": w, "area": area} for w, area in areas.items()],
        "score": float(board.table["score"].iloc[0]),
        "workload": "",
    }
    if not reached:
        return found
    middle = (1.0 + board.tau_max) / 2
    workload = min(reached, key=lambda w: abs(reached[w] - middle))
    at = results.workloads.index(workload)
    studies = board.studies.times[board.studies.submissions.index(name), at].tolist()
    rivals = [
        s
        for s in results.submissions
        if board.method.is_best_before_gates or math.isfinite(results.ratios[s][workload])
    ]
    best = min(times[s][workload] for s in rivals)
    return {
        **found,
        "workload": workload,
        "studies": [
            number(t) if math.isfinite(t) else "missed" for t in studies if not math.isnan(t)
        ],
        "time": times[name][workload],
        "best": best,
        "firsts": [s for s in rivals if times[s][workload] == best],
        "ratio": reached[workload],
        "area": areas[workload],
    }


def _named(results: Results, name: str) -> dict[str, Any]:
    return {"name": name, "page": submission_page_path(name), "look": results.looks[name]}


def _places(results: Results, kind: dict[str, Any]) -> Sequence[str]:
    dirt = results.board.dirt
    rows = dirt[(dirt["kind"] == kind["kind"]) & (dirt["effect"] == kind["effect"])]
    return list(rows["where"])[:N_PLACES]
