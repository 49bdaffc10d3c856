"""Small competitions by chance, full of ties, misses, late evaluations and gaps; never on disk."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import pandas as pd

from scoring import Runs
from scoring.score_rules import ScoreRules
from scoring.tables import ROW_COLUMNS, TRIAL_COLUMNS, dirt_table, typed

N_STUDIES = 3
BUDGET = 100.0
# By workload the target; less is better of those in LESS_IS_BETTER.
TARGETS = {"u": 0.5, "v": 2.0, "w": -4.0, "x": 0.5, "u_held": 0.5, "v_held": 2.0}
LESS_IS_BETTER = {"v", "w", "v_held"}
RULES = ScoreRules(
    version="chance",
    base_workloads=("u", "v", "w", "x"),
    held_out={"u_held": "u", "v_held": "v"},
    n_studies=N_STUDIES,
    n_trials=2,
)
# Of the target's size how much a value is better; 0 meets the target, the rest are near or far.
MARGINS = (0.2, 0.0, 0.0, -0.001, -0.002, -0.01, -0.02, -0.0251, -0.05, -0.051, -0.5)
# Round times make ties and ratios of exactly 4 likely; those above the budget are late.
TIMES = (0.0, 5.0, 10.0, 20.0, 25.0, 40.0, 80.0, 100.0, 101.0, 150.0)


def random_runs(seed: int) -> Runs:
    """Give one to four submissions with at most two trials in at most three studies a workload.

    Some workloads are run by nobody, some studies and trials are not there, some have no
    evaluation, some clocks run backwards, and in some competitions nobody reaches anything.
    """
    draw = random.Random(seed)
    names = ["a", "b", "c", "d"][: draw.randint(1, 4)]
    workloads = sorted({"u", *draw.sample(sorted(TARGETS), draw.randint(1, len(TARGETS)))})
    best = draw.choice([0.2, 0.2, 0.2, -0.01, -0.5])
    margins = [margin for margin in MARGINS if margin <= best]
    trials: list[Mapping[str, object]] = []
    rows: list[Mapping[str, object]] = []
    for name in names:
        for workload in workloads if trials else ["u"]:
            for study in range(N_STUDIES):
                for trial in (1, 2):
                    if draw.random() < 0.25 and trials:
                        continue
                    own = _rows(draw, workload, margins)
                    rows += [{**row, "trial_id": len(trials)} for row in own]
                    trials.append(_trial(name, workload, study, trial, n_rows=len(own)))
    table = typed(trials, TRIAL_COLUMNS)
    table.index = pd.RangeIndex(len(table), name="trial_id")
    return Runs(
        trials=table,
        rows=typed(rows, ROW_COLUMNS),
        dirt=dirt_table([]),
        rules=RULES,
        ruleset="external",
        unit="seconds",
    )


def _rows(
    draw: random.Random, workload: str, margins: Sequence[float]
) -> list[Mapping[str, object]]:
    n = draw.choice([0, 1, 3, 5, 8])
    times = [draw.choice(TIMES) for _ in range(n)]
    if draw.random() < 0.9:
        times.sort()
    sign = -1.0 if workload in LESS_IS_BETTER else 1.0
    target = TARGETS[workload]
    values = [target + sign * draw.choice(margins) * abs(target) for _ in times]
    steps = sorted(draw.sample(range(1, 60), n))
    return [
        {
            "step": step,
            "time": time,
            "train": math.nan,
            "validation": math.nan if draw.random() < 0.1 else value,
            "test": math.nan,
            "model_evaluations": math.nan,
        }
        for step, time, value in zip(steps, times, values, strict=True)
    ]


def _trial(
    submission: str, workload: str, study: int, trial: int, n_rows: int
) -> Mapping[str, object]:
    return {
        **dict.fromkeys(TRIAL_COLUMNS, ""),
        "submission": submission,
        "framework": "by hand",
        "workload": workload,
        "study": study,
        "trial": trial,
        "n_studies": N_STUDIES,
        "n_trials": 2,
        "ruleset": "external",
        "unit": "seconds",
        "metric": "value",
        "larger_is_better": workload not in LESS_IS_BETTER,
        "target": TARGETS[workload],
        "budget": BUDGET,
        "hyperparameters": "{}",
        "seed": 0,
        "batch_size": 1,
        "deviations": (),
        "hardware_class": "hand",
        "reason": "unknown",
        "n_rows": n_rows,
        "is_truncated": False,
        "meta": "{}",
    }
