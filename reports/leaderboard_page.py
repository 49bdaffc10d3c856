"""What the leaderboard's page shows: plain values made from a score and how sure it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reports.paths import submission_page_path, workload_page_path
from reports.results import Results
from reports.values import band_name, interval, label, number, short
from scoring.text import change_text

STYLES = ("what_if.css",)
SCRIPTS = (
    "site.js",
    "plots.js",
    "scoring.js",
    "what_if_state.js",
    "what_if_page.js",
    "what_if.js",
)
"""The scripts of the page, in the order in which they are loaded, after its data."""
_UNKNOWN_VERDICTS = {"", "unknown"}


def leaderboard_rows(results: Results) -> list[dict[str, Any]]:
    """Give the rows of the leaderboard, best first."""
    board = results.board
    sure = results.sure.table.set_index("submission")
    speed = results.tables["speedups"].set_index("submission")
    authors = board.trials.groupby("submission")["authors"].first()
    verdicts = fairplay_verdicts(board.trials)
    rows = []
    for row in board.table.to_dict("records"):
        name = row["submission"]
        chance = sure.loc[name]
        rows.append(
            {
                **{key: row[key] for key in ("rank", "frameworks", "score")},
                **{key: row[key] for key in ("n_reached", "n_workloads")},
                "is_partial": bool(board.table["is_full"].any()) and not row["is_full"],
                "name": name,
                "label": label(name),
                "authors": authors[name],
                "page": submission_page_path(name),
                "look": results.looks[name],
                "ranks": interval(chance["rank_low"], chance["rank_high"], ".0f"),
                "band": band_name(int(chance["band"])),
                "interval": interval(chance["score_low"], chance["score_high"]),
                "low": chance["score_low"],
                "high": chance["score_high"],
                "speedup": speed.loc[name, "speedup"],
                "speedup_interval": interval(
                    speed.loc[name, "low"], speed.loc[name, "high"], ".2f"
                ),
                "n_bounds": int(speed.loc[name, "n_bounds"]),
                "fairplay": verdicts.get(name, ""),
            }
        )
    return rows


def fairplay_verdicts(trials: pd.DataFrame) -> dict[str, str]:
    """Give each submission's verdict of the fair-play check; empty if nothing is known of any."""
    if "fairplay" not in trials.columns:
        return {}
    found = trials.groupby("submission")["fairplay"].agg(lambda v: ", ".join(sorted(set(v))))
    verdicts = {str(name): str(text) for name, text in found.items()}
    return {} if set(verdicts.values()) <= _UNKNOWN_VERDICTS else verdicts


def heat_rows(results: Results) -> list[dict[str, Any]]:
    """Give time, ratio and area of every submission on every workload, best submission first."""
    times, ratios, areas = results.times, results.ratios, results.areas
    return [
        {
            "name": name,
            "page": submission_page_path(name),
            "look": results.looks[name],
            "cells": [
                heat_cell(times[name][w], ratios[name][w], areas[name].get(w, math.nan))
                for w in results.workloads
            ],
        }
        for name in results.submissions
    ]


def heat_cell(time: float, ratio: float, area: float) -> dict[str, Any]:
    """Give one cell; a held-out workload has no area, and its ratio is shown alone."""
    return {
        "time": time,
        "ratio": ratio,
        "area": 0.0 if math.isnan(area) else area,
        "is_reached": math.isfinite(time),
        "is_closed": math.isfinite(time) and math.isinf(ratio),
    }


def profile_steps(results: Results) -> list[dict[str, Any]]:
    """Give the steps of every profile: at which factor, how far, and by which workloads."""
    board = results.board
    base = board.ratios[list(board.columns.base)]
    found = []
    for name in results.submissions:
        steps = board.profile[board.profile["submission"] == name]
        ratios = base.loc[name].to_dict()
        found.append(
            {
                "name": name,
                "look": results.looks[name],
                "tau": steps["tau"].tolist(),
                "rho": steps["rho"].tolist(),
                "workloads": [[w for w, r in ratios.items() if r == tau] for tau in steps["tau"]],
                "missed": [w for w, r in ratios.items() if r > board.tau_max],
            }
        )
    return found


def workload_rows(results: Results) -> list[dict[str, Any]]:
    """Give one row per workload: its target, its budget, who was first, how many reached it."""
    board = results.board
    facts = board.trials.groupby("workload").agg(
        metric=("metric", "first"),
        larger_is_better=("larger_is_better", "first"),
        target=("target", "first"),
        n_trials=("trial", "size"),
    )
    budgets = board.trials.groupby("workload")["budget"].unique()
    gates = board.columns
    gate_of = {v: gates.base[b] for v, b in zip(gates.held_out, gates.gated, strict=True)}
    rows = []
    for fact in facts.loc[results.workloads].reset_index().to_dict("records"):
        name = str(fact["workload"])
        times = board.times[name]
        best = times.min()
        rows.append(
            {
                **{str(key): value for key, value in fact.items()},
                "name": name,
                "page": workload_page_path(name),
                "budget": " or ".join(map(number, sorted(budgets[name]))),
                "n_reached": int((times < math.inf).sum()),
                "firsts": [s for s in results.submissions if times[s] == best < math.inf],
                "best_time": best,
                "gate_of": gate_of.get(name, ""),
            }
        )
    return rows


def dirt_kinds(results: Results) -> list[dict[str, Any]]:
    """Give what is out of place in the runs, each kind once with its effect and its number."""
    dirt = results.board.dirt
    counts = Counter(zip(dirt["kind"], dirt["effect"], strict=True))
    return [{"kind": k, "effect": e, "n": n} for (k, e), n in sorted(counts.items())]


def board_data(results: Results) -> dict[str, Any]:
    """Give what the scripts of every page know: unit, range of profiles, looks in order."""
    return {
        "unit": results.board.unit,
        "tauMax": results.board.tau_max,
        "submissions": [
            {"name": label(name), "color": look.color, "dash": look.dash, "marker": look.marker}
            for name, look in results.looks.items()
        ],
    }


def profile_data(results: Results) -> dict[str, Any]:
    """Give the profiles for the script that draws them, in the order of the leaderboard."""
    return {
        "tauMax": results.board.tau_max,
        "profiles": [
            {**{key: step[key] for key in ("tau", "rho", "workloads")}, "name": label(step["name"])}
            for step in profile_steps(results)
        ],
    }


def columns(*, has_authors: bool, has_fairplay: bool) -> list[dict[str, Any]]:
    """Give the leaderboard's columns, whether rows can be sorted by them, and which way first."""
    wanted = (
        ("rank", "Rank", "rank", True, False),
        ("submission", "Submission", "", True, False),
        ("authors", "Authors", "", True, False),
        ("framework", "Framework", "", True, False),
        ("score", "Score", "", True, True),
        ("interval", "95% interval", "", True, True),
        ("speedup", "Speedup", "n", True, True),
        ("reached", "Reached", "n", True, True),
        ("fairplay", "Fair play", "", True, False),
        ("logs", "Logs", "", False, False),
    )
    left_out = {"authors": not has_authors, "fairplay": not has_fairplay}
    names = ("key", "title", "kind", "is_sorted_by", "descends")
    return [
        dict(zip(names, column, strict=True)) for column in wanted if not left_out.get(column[0])
    ]


def facts(results: Results, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give everything that the template of the first page shows."""
    board = results.board
    has_authors = any(row["authors"] for row in rows)
    has_fairplay = any(row["fairplay"] for row in rows)
    best = results.sure.table[results.sure.table["p_best"] >= 0.005]
    best = best.sort_values("p_best", ascending=False)
    steps = profile_steps(results)
    return {
        "rows": rows,
        "columns": columns(has_authors=has_authors, has_fairplay=has_fairplay),
        "has_authors": has_authors,
        "has_fairplay": has_fairplay,
        "n_base": len(board.columns.base),
        "n_held_out": len(board.columns.held_out),
        "workloads": workload_rows(results),
        "heat_rows": heat_rows(results),
        "steps": [
            {**step, "pairs": list(zip(step["tau"], step["workloads"], strict=True))}
            for step in steps
        ],
        "firsts": list(zip(best["submission"], best["p_best"], strict=True)),
        "changes": change_texts(results),
        "notes": notes(results),
        "dirt": dirt_kinds(results),
    }


def change_texts(results: Results) -> list[str]:
    """Say which orders turn round without a third submission, with names of a readable length."""
    names = ("left_out", "first", "second", "submission", "workload", "held_out")
    return [
        change_text({**change, **{key: short(change[key]) for key in names}})
        for change in results.changes.to_dict("records")
    ]


def notes(results: Results) -> list[str]:
    """Give what keeps the score from being a full one, in words."""
    board = results.board
    found = list(board.notes)
    partial = board.table.loc[~board.table["is_full"], "submission"]
    if not found and not board.is_full_score:
        found.append(f"not a full score: trials of the plan are missing of {', '.join(partial)}")
    return found
