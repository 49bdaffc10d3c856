"""What `PACEBENCH.score` must give, made by the Python package from the same runs."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.paths import safe_name
from scoring import METHODS, Runs, Scoreboard, performance_profile
from scoring.profiles import areas, gated_ratios, mean_area
from scoring.score_rules import Columns
from scoring.time_to_target import median_of_studies, study_times, trial_times

Options = Mapping[str, Any]
"""All options of `PACEBENCH.score`."""

# In the page: the results of many options at once; JSON knows no Infinity.
SCORE_ALL = """([payload, all]) => JSON.stringify(
  all.map((options) => {
    const { table, profiles, steps } = PACEBENCH.score(payload, options);
    return { table, profiles: [...profiles], steps: [...steps] };
  }),
  (_, value) => (value === Infinity ? "inf" : value),
)"""


def unchanged(board: Scoreboard) -> dict[str, Any]:
    """Give the options that change nothing."""
    return {
        "excludedSubmissions": [],
        "excludedWorkloads": [],
        "method": board.method.name,
        "unit": board.unit,
        "tauMax": board.tau_max,
        "relaxTarget": 0,
    }


def some_options(board: Scoreboard, n: int, seed: int, relax_max: float) -> list[dict[str, Any]]:
    """Give `n` combinations of options; some leave out everything."""
    draw = random.Random(seed)
    taus = [1.1, 2.0, board.tau_max, 4.0, 7.3, 10.0]
    relaxed = [0.0, 0.001, relax_max / 2, relax_max, draw.uniform(0, relax_max)]
    submissions = [safe_name(name) for name in board.studies.submissions]
    workloads = [safe_name(name) for name in board.columns.names]
    return [
        {
            "excludedSubmissions": _some(draw, submissions),
            "excludedWorkloads": _some(draw, workloads),
            "method": draw.choice(list(METHODS)),
            "unit": draw.choice([board.unit, "steps"]),
            "tauMax": draw.choice(taus),
            "relaxTarget": draw.choice(relaxed),
        }
        for _ in range(n)
    ]


def _some(draw: random.Random, names: Sequence[str]) -> list[str]:
    n = draw.choice([0, 0, 1, 1, 2, len(names) // 2, len(names)])
    return draw.sample(names, min(n, len(names)))


def scored_again(runs: Runs, board: Scoreboard, options: Options) -> dict[str, Any]:
    """Give what the browser must give: `table`, and `profiles` and `steps` as pairs with a key."""
    method = METHODS[options["method"]]
    columns = _left(board.columns, options["excludedWorkloads"])
    kept = [
        s
        for s, name in enumerate(board.studies.submissions)
        if safe_name(name) not in options["excludedSubmissions"]
    ]
    if not kept or not columns.base:
        return {"table": [], "profiles": [], "steps": []}
    names = [board.studies.submissions[s] for s in kept]
    trials = runs.trials[runs.trials["set_aside"] == ""]
    trials = trial_times(trials, runs.rows, method, options["relaxTarget"])
    cost = "time" if options["unit"] == board.unit else "steps"
    times = median_of_studies(study_times(trials, columns, method, cost).times)[kept]
    ratios = gated_ratios(times, columns, board.score_rules, method)
    base = ratios[:, : len(columns.base)]
    area = areas(base, options["tauMax"], method.n_grid_points)
    score = mean_area(area)
    rank = 1 + (score[:, None] < score[None, :]).sum(axis=1)
    table = [
        {
            "rank": int(rank[s]),
            "name": names[s],
            "key": safe_name(names[s]),
            "score": float(score[s]),
            "nReached": int(np.isfinite(base[s]).sum()),
            "nWorkloads": len(columns.base),
            "cells": [
                {
                    "name": workload,
                    "isBase": w < len(columns.base),
                    "time": float(times[s, w]),
                    "ratio": float(ratios[s, w]),
                    "area": float(area[s, w]) if w < len(columns.base) else None,
                }
                for w, workload in enumerate(columns.names)
            ],
        }
        for s in np.lexsort([range(len(kept)), rank])
    ]
    return {"table": table, **_profiles(names, columns, base, options["tauMax"])}


def _left(columns: Columns, excluded: Sequence[str]) -> Columns:
    """Give the workloads that are left: a base workload takes its held-out variants with it."""
    of = {v: columns.base[b] for v, b in zip(columns.held_out, columns.gated, strict=True)}
    base = tuple(w for w in columns.base if safe_name(w) not in excluded)
    held_out = tuple(v for v in columns.held_out if of[v] in base and safe_name(v) not in excluded)
    return Columns(base=base, held_out=held_out, gated=tuple(base.index(of[v]) for v in held_out))


def _profiles(
    names: Sequence[str], columns: Columns, base: np.ndarray, tau_max: float
) -> dict[str, Any]:
    profile = performance_profile(pd.DataFrame(base, index=names), tau_max)
    profiles, steps = [], []
    for name, row in zip(names, base, strict=True):
        own = profile[profile["submission"] == name]
        tau, rho = own["tau"].tolist(), own["rho"].tolist()
        at = [(t, ", ".join(np.array(columns.base, dtype=object)[row == t])) for t in tau]
        profiles.append([safe_name(name), {"tau": tau, "rho": rho}])
        steps.append([safe_name(name), [[t, texts] for t, texts in at if texts]])
    return {"profiles": profiles, "steps": steps}


def check_same(found: Any, expected: Any, where: str) -> None:
    """Check two nested values: numbers to 1e-9 of their size, all else exactly."""
    if isinstance(expected, Mapping):
        assert set(found) == set(expected), where
        for key, value in expected.items():
            check_same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            check_same(one, other, f"{where}[{i}]")
    elif isinstance(expected, float):
        number = math.inf if found == "inf" else found
        assert number == pytest.approx(expected, rel=1e-9, abs=1e-12), where
    else:
        assert found == expected, where
