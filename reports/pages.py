"""What the templates show: plain values made from tables, with every path already safe."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from pacebench.rows import END_FILE, META_FILE, PLAN_FILE, ROWS_FILE
from scoring import Scoreboard

COPIED_FILES = {
    PLAN_FILE: "plan",
    ROWS_FILE: "evaluations",
    META_FILE: "environment",
    END_FILE: "end",
}
_N_VALUES_SHOWN = 4


def safe_name(text: str) -> str:
    """Give a file name for another's text: itself if it is harmless, else cleaned and hashed.

    >>> safe_name("adamw-1.0"), safe_name("../../x")
    ('adamw-1.0', 'x-9cdf6a50')
    """
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._")[:60]
    if clean == text and clean:
        return text
    return f"{clean or 'name'}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def trial_path(trial: pd.Series[Any]) -> str:
    """Give the site's folder of a trial's copies, laid out as a folder of runs."""
    return "/".join(
        (
            "trials",
            safe_name(trial["rules"]),
            safe_name(f"{trial['ruleset']}_tuning"),
            safe_name(trial["submission"]),
            f"study_{trial['study']}",
            safe_name(f"{trial['workload']}_{trial['framework']}"),
            f"trial_{trial['trial']}",
        )
    )


def workload_page(workload: str) -> str:
    """Give the path of a workload's page."""
    return f"workloads/{safe_name(workload)}.html"


def figure_path(workload: str, x: str) -> str:
    """Give the path of a workload's learning curves over `x`."""
    return f"figures/{safe_name(workload)}-{x}.svg"


def number(value: float) -> str:
    """Give a number to read: four digits, thousands grouped.

    >>> number(0.97351), number(12.3456), number(38311.6), number(1e26)
    ('0.9735', '12.35', '38,312', '1e+26')
    """
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def hyperparameters_text(text: str) -> list[tuple[str, str]]:
    """Give names and values of hyperparameters from their JSON; numbers to four digits."""
    values = json.loads(text) if text else {}
    return [
        (str(name), f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in values.items()
    ]


def submission_facts(board: Scoreboard) -> list[dict[str, Any]]:
    """Give the leaderboard's rows, best first."""
    facts = []
    for row in board.table.to_dict("records"):
        name = row["submission"]
        trials = board.trials[board.trials["submission"] == name]
        facts.append(
            {
                **{
                    key: row[key]
                    for key in ("rank", "frameworks", "score", "n_reached", "n_workloads")
                },
                "name": name,
                "authors": trials["authors"].iloc[0],
                "description": trials["description"].iloc[0],
                "cells": [
                    {
                        "workload": workload,
                        "is_reached": math.isfinite(row[f"time/{workload}"]),
                        "time": row[f"time/{workload}"],
                        "ratio": row[f"ratio/{workload}"],
                        "is_closed": math.isinf(row[f"ratio/{workload}"]),
                        "hyperparameters": hyperparameters_text(row[f"hyperparameters/{workload}"]),
                    }
                    for workload in board.times.columns
                ],
            }
        )
    return facts


def workload_facts(board: Scoreboard, workload: str) -> dict[str, Any]:
    """Give what a workload's section and page show."""
    trials = board.trials[board.trials["workload"] == workload]
    times = board.times[workload]
    order = {name: i for i, name in enumerate(board.table["submission"])}
    ordered = trials.assign(order=trials["submission"].map(order)).sort_values(
        ["order", "study", "trial"]
    )
    budgets = sorted(set(trials["budget"]))
    return {
        "name": workload,
        "page": workload_page(workload),
        "metric": trials["metric"].iloc[0],
        "larger_is_better": bool(trials["larger_is_better"].iloc[0]),
        "target": trials["target"].iloc[0],
        "budget": " or ".join(number(budget) for budget in budgets),
        "n_studies": int(trials["n_studies"].max()),
        "n_reached": sum(map(math.isfinite, times)),
        "firsts": [n for n in order if board.ratios.loc[n, workload] == 1.0],
        "best_time": times.min(),
        "alt": _curves_alt(board, workload, order),
        "trials": [_trial_facts(trial) for _, trial in ordered.iterrows()],
    }


def environment_facts(trials: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Give name and values (with the number of trials) of all that the environments hold."""
    counts: dict[str, Counter[str]] = {}
    for meta in trials["meta"]:
        for name, value in _leaves("", json.loads(meta)):
            counts.setdefault(name, Counter())[value] += 1
    facts = []
    for name, values in sorted(counts.items()):
        shown = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        texts = [f"{value} ({_trials(n)})" if len(shown) > 1 else value for value, n in shown]
        if len(texts) > _N_VALUES_SHOWN:
            texts = [f"{len(texts)} different values"]
        facts.append((name, texts))
    return facts


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give the dotted names and the texts of all plain values of a JSON object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list):
        yield prefix, ", ".join(str(item) for item in value) or "none"
    elif value is not None:
        yield prefix, str(value)


def dirt_facts(board: Scoreboard) -> tuple[str, ...]:
    """Give what is out of place in the runs, each kind once with its number."""
    counts = Counter(zip(board.dirt["kind"], board.dirt["effect"], strict=True))
    return tuple(f"{kind} ({effect}): {n}" for (kind, effect), n in sorted(counts.items()))


def _trial_facts(trial: pd.Series[Any]) -> dict[str, Any]:
    folder = trial_path(trial)
    return {
        **{
            key: trial[key]
            for key in ("submission", "study", "trial", "is_best", "best_validation", "message")
        },
        "is_reached": math.isfinite(trial["time_to_target"]),
        "time": trial["time_to_target"],
        "step": trial["step_at_target"],
        "reason": trial["reason"].replace("_", " ") or "unfinished",
        "hyperparameters": hyperparameters_text(trial["hyperparameters"]),
        "files": [
            (f"{folder}/{name}", label)
            for name, label in COPIED_FILES.items()
            if (Path(trial["folder"]) / name).is_file()
        ],
    }


def _curves_alt(board: Scoreboard, workload: str, order: dict[str, int]) -> str:
    """Say in words what the learning curves show."""
    times = board.times[workload]
    texts = [
        f"{name} {number(times[name])} {board.unit}"
        if math.isfinite(times[name])
        else f"{name} missed"
        for name in order
    ]
    return f"Learning curves on {workload}. Median time to target: {'; '.join(texts)}."


def _trials(n: int) -> str:
    return f"{n} trial{'' if n == 1 else 's'}"
