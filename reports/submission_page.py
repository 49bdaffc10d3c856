"""What a submission's page shows: what it is, what it ran on, and what it reached."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pacebench.rows import SPACE_FILE, Reason
from reports.chart import Axis, Line, line_chart
from reports.palette import Look
from reports.paths import is_plain_file, workload_page_path
from reports.results import Results
from reports.values import counted, number, short
from scoring.independent import ALL_WORKLOADS

SCRIPTS = ("site.js",)
_N_VALUES_SHOWN = 4
_N_SPACE_BYTES = 100_000


def facts(results: Results, name: str) -> dict[str, Any]:
    """Give what the page of a submission shows, but for its heat row and its trials."""
    trials = results.board.trials[results.board.trials["submission"] == name]
    first = trials.iloc[0]
    hits = results.tables["hit_rates"]
    overall = hits[(hits["submission"] == name) & (hits["workload"] == ALL_WORKLOADS)].iloc[0]
    return {
        "authors": first["authors"],
        "description": first["description"],
        "frameworks": ", ".join(sorted(set(trials["framework"]))),
        "hashes": [h for h in dict.fromkeys(trials["source_hash"]) if h],
        "batch_sizes": sorted({n for n in trials["batch_size"].tolist() if n}),
        "hardware": [h or "not started" for h in dict.fromkeys(trials["hardware_class"])],
        "n_trials": len(trials),
        "ends": ends_text(trials["reason"].tolist()),
        "hits": overall.to_dict(),
        "space": search_space(trials["folder"].tolist()),
        "points": points_tried(trials["hyperparameters"].tolist()),
        "tuning": tuning_rows(results, name),
        "tuning_chart": tuning_chart(results, name),
        "environment": environment_facts(trials["meta"].tolist()),
    }


def ends_text(reasons: Sequence[str]) -> str:
    """Say how many trials ended for which reason, the most frequent first."""
    words = {"": "unfinished", str(Reason.UNKNOWN): "with an end that the logs do not tell"}
    counts = sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0]))
    texts = [
        f"{n:,} {words.get(reason) or 'ended by ' + short(reason.replace('_', ' '), 40)}"
        for reason, n in counts
    ]
    return f"{counted(len(reasons), 'trial')}: {', '.join(texts)}."


def search_space(folders: Sequence[str]) -> list[tuple[str, str]]:
    """Give the parameters of the first trial's search space, each in words; empty without one.

    The file lies where a submission could have written: what cannot be read is said so.
    """
    for folder in folders:
        path = Path(folder) / SPACE_FILE
        if not is_plain_file(path):
            continue
        if path.stat().st_size > _N_SPACE_BYTES:
            return [("search space", f"{SPACE_FILE} is too large to show")]
        try:
            space = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return [("search space", f"{SPACE_FILE} cannot be read")]
        if isinstance(space, list):
            return [("points", counted(len(space), "point"))]
        if isinstance(space, Mapping):
            return [(str(key), _parameter_text(value)) for key, value in space.items()]
    return []


def _parameter_text(value: Any) -> str:
    """Say a parameter's range or values in words."""
    if isinstance(value, Mapping):
        if {"min", "max"} <= value.keys():
            scaling = f", {value['scaling']}" if "scaling" in value else ""
            return f"{value['min']} to {value['max']}{scaling}"
        if isinstance(value.get("feasible_points"), list):
            return f"one of {', '.join(map(str, value['feasible_points']))}"
    return json.dumps(value, default=str)


def points_tried(points: Sequence[str]) -> list[dict[str, Any]]:
    """Give for every hyperparameter how many values were tried, and the least and the largest."""
    values: dict[str, set[Any]] = {}
    for text in dict.fromkeys(points):
        for name, value in (json.loads(text) if text else {}).items():
            values.setdefault(str(name), set()).add(_tried(value))
    rows = []
    for name, found in values.items():
        numbers = sorted(v for v in found if isinstance(v, int | float))
        texts = sorted(v for v in found if isinstance(v, str))
        ends = [number(numbers[0]), number(numbers[-1])] if numbers else [texts[0], texts[-1]]
        rows.append({"name": name, "n": len(found), "least": ends[0], "most": ends[1]})
    return rows


def _tried(value: Any) -> float | int | str:
    """Give a value as a number or, where it is none (or beyond all that are drawn), as a text."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300
    return value if is_count or isinstance(value, float | str) else json.dumps(value)


def tuning_rows(results: Results, name: str) -> list[dict[str, Any]]:
    """Give by number of trials of a study how many targets they reach on average."""
    table = results.tables["tuning_budget"]
    own = table[(table["submission"] == name) & table["workload"].isin(results.board.columns.base)]
    means = own.groupby("n_trials")["hit_probability"].mean()
    return [
        {"k": k, "share": share}
        for k, share in zip(means.index.tolist(), means.tolist(), strict=True)
    ]


def tuning_chart(results: Results, name: str) -> Markup:
    """Draw what k trials of a study reach: this submission strong, the others thin."""
    table = results.tables["tuning_budget"]
    base = table[table["workload"].isin(results.board.columns.base)]
    means = base.pivot_table(
        index="n_trials", columns="submission", values="hit_probability", aggfunc="mean"
    )
    most = int(means.index.max())
    if most < 2:
        return Markup("")
    looks = results.looks

    def line(one: str, look: Look) -> Line:
        return Line(
            xs=[float(k) for k in means.index],
            ys=means[one].to_list(),
            look=look,
            is_strong=one == name,
        )

    lines = [line(one, look) for one, look in looks.items() if one != name]
    x = Axis(low=1.0, high=float(most), label="trials of a study")
    y = Axis(low=0.0, high=1.0, label="share of targets reached")
    own = ", ".join(f"{k}: {share:.0%}" for k, share in means[name].items())
    return Markup(
        line_chart(
            x,
            y,
            [*lines, line(name, looks[name])],
            title=f"Share of targets reached by so many trials of a study. {own}.",
        )
    )


def environment_facts(metas: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Give name and values (with the number of trials) of all that the environments hold."""
    counts: dict[str, Counter[str]] = {}
    for meta, n in Counter(metas).items():
        for name, value in _leaves("", json.loads(meta)):
            counts.setdefault(name, Counter())[value] += n
    facts_found = []
    for name, values in sorted(counts.items()):
        shown = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        texts = [
            f"{value} ({counted(n, 'trial')})" if len(shown) > 1 else value for value, n in shown
        ]
        if len(texts) > _N_VALUES_SHOWN:
            texts = [f"{len(texts)} different values"]
        facts_found.append((name, texts))
    return facts_found


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give the dotted names and the texts of all plain values of a JSON object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list):
        yield prefix, ", ".join(str(item) for item in value) or "none"
    elif value is not None:
        yield prefix, str(value)


def workload_cells(
    results: Results, name: str, trials: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give one row per workload: time, ratio, area (NaN for a gate), hits and the best point.

    `trials` are the submission's rows of `reports.trial_rows`.
    """
    points = {t["workload"]: t["hyperparameters"] for t in trials if t["is_best"]}
    gates = results.board.columns
    gate_of = {v: gates.base[b] for v, b in zip(gates.held_out, gates.gated, strict=True)}
    hits = results.tables["hit_rates"]
    own = hits[hits["submission"] == name].set_index("workload")
    n_hits, n_trials = own["n_hits"].to_dict(), own["n_trials"].to_dict()
    return [
        {
            "workload": workload,
            "time": time,
            "ratio": results.ratios[name][workload],
            "area": results.areas[name].get(workload, math.nan),
            "is_reached": math.isfinite(time),
            "is_closed": math.isfinite(time) and math.isinf(results.ratios[name][workload]),
            "n_hits": n_hits[workload],
            "n_trials": n_trials[workload],
            "point": points.get(workload, []),
            "page": workload_page_path(workload),
            "gate_of": gate_of.get(workload, ""),
        }
        for workload, time in results.times[name].items()
    ]
