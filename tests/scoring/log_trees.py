"""Makes small logs by hand: AlgoPerf's trees on disk, and tables as if they were read from one."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scoring import EXACT, PUBLISHED, Runs, read_runs, score_runs
from scoring.read import RunSelection
from scoring.score_rules import ScoreRules, score_rules
from scoring.tables import ROW_COLUMNS, TRIAL_COLUMNS, dirt_table, typed
from tuning.rules import Rules, load_rules

V05 = load_rules("algoperf-0.5")
EVAL_FILE = "eval_measurements.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One line of eval_measurements.csv."""

    seconds: float
    value: float | str
    """Of the target metric on validation, or the text of its cell."""
    step: int | None = None
    """None makes it 10 times the seconds."""
    preemptions: int = 0


def hit(workload: str, rules: Rules = V05) -> float:
    """Give the validation target of a workload: the least that meets it."""
    limits = rules.workload(workload)
    target = limits.scoring_validation_target
    return limits.validation_target if target is None else target


def miss(workload: str, rules: Rules = V05) -> float:
    """Give a value a tenth worse than the target."""
    return hit(workload, rules) * (0.9 if rules.workload(workload).larger_is_better else 1.1)


def to_target(workload: str, seconds: float, rules: Rules = V05) -> list[Evaluation]:
    """Give evaluations that miss after a second and hit after `seconds`; inf never hits."""
    first = Evaluation(seconds=1.0, value=miss(workload, rules))
    if math.isinf(seconds):
        return [first, Evaluation(seconds=2.0, value=miss(workload, rules))]
    return [first, Evaluation(seconds=seconds, value=hit(workload, rules))]


def csv_text(workload: str, evaluations: Sequence[Evaluation], rules: Rules = V05) -> str:
    """Give a file of evaluations with AlgoPerf's columns in their order."""
    metric = rules.workload(workload).metric
    columns = [
        "accumulated_eval_time",
        "accumulated_logging_time",
        "accumulated_submission_time",
        "global_step",
        "preemption_count",
        "score",
        f"test/{metric}",
        "total_duration",
        f"train/{metric}",
        f"validation/{metric}",
        "validation/num_examples",
    ]
    lines = [",".join(columns)]
    for e in evaluations:
        step = round(10 * e.seconds) if e.step is None else e.step
        cells = [1.0, 0.5, e.seconds, step, e.preemptions, e.seconds]
        lines.append(",".join(map(str, [*cells, e.value, e.seconds + 1.5, e.value, e.value, 100])))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in a tree a trial is written."""

    submission: str
    workload: str
    study: int = 0
    trial: int = 1
    framework: str = "jax"
    """Jax or pytorch, as in the folder's name."""

    def folder(self, tree: Path) -> Path:
        """Give the trial's folder; `tree` holds the submissions."""
        workload = f"{self.workload}_{self.framework}"
        return tree / self.submission / f"study_{self.study}" / workload / f"trial_{self.trial}"


def add_trial(
    tree: Path,
    place: Place,
    evaluations: Sequence[Evaluation] | None,
    *,
    is_tuned: bool = True,
    rules: Rules = V05,
) -> Path:
    """Write one trial and give its folder; None writes no evaluations' file at all."""
    folder = place.folder(tree)
    folder.mkdir(parents=True)
    if evaluations is not None:
        (folder / EVAL_FILE).write_text(csv_text(place.workload, evaluations, rules))
    if is_tuned:
        (folder / "hparams.json").write_text(json.dumps({"learning_rate": 0.1 * place.trial}))
    return folder


def add_studies(
    tree: Path,
    submission: str,
    workload: str,
    seconds: Sequence[float],
    *,
    n_trials: int = 5,
    is_tuned: bool = True,
    rules: Rules = V05,
) -> None:
    """Write studies whose first trials hit after `seconds` (inf: never) and no other trial hits."""
    for study, time in enumerate(seconds):
        for trial in range(1, n_trials + 1):
            rows = to_target(workload, time if trial == 1 else math.inf, rules)
            place = Place(submission=submission, workload=workload, study=study, trial=trial)
            add_trial(tree, place, rows, is_tuned=is_tuned, rules=rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What the logs below a folder come to."""

    runs: Runs
    exact: dict[str, float]
    """Scores by submission."""
    published: dict[str, float]

    @property
    def dirt(self) -> list[tuple[str, str, str]]:
        """Kind, place and effect."""
        return list(self.runs.dirt[["kind", "where", "effect"]].itertuples(index=False, name=None))

    @property
    def set_aside(self) -> dict[str, int]:
        """The numbers of trials that do not count, by reason."""
        reasons = self.runs.trials["set_aside"]
        return {str(k): int(n) for k, n in reasons[reasons != ""].value_counts().items()}


def scored(*paths: Path, selection: RunSelection | None = None) -> Scored:
    """Read and score logs in both ways."""
    return scored_runs(read_runs(list(paths), selection))


def scored_runs(runs: Runs) -> Scored:
    """Score runs in both ways."""
    both = [score_runs(runs, method=method).table for method in (EXACT, PUBLISHED)]
    exact, published = (dict(zip(t["submission"], t["score"], strict=True)) for t in both)
    return Scored(runs=runs, exact=exact, published=published)


# The tree of two submissions that tests of dirt damage. On ogbg a needs 300 s in every study and b
# the times SLOW, so the ratio of the medians is 610 / 300.
OGBG = "ogbg"
OGBG_BUDGET = 18477.0  # AlgoPerf v0.5.0, max_allowed_runtime_sec
SLOW = (410.0, 510.0, 610.0, 710.0, 810.0)
# b's score, exact and published: (4 - 61/30) / 3 = 59/90, and 31/30 * 33 = 34.1, so the points
# 35 .. 99 of 1 + k/33 are met: 65 points, (65 - 1/2) / 99.
CLEAN = (59 / 90, 64.5 / 99)
# The first study of b a miss: the median of 510, 610, 710, 810, inf is 710, (4 - 71/30) / 3 =
# 49/90, and 41/30 * 33 = 45.1: 54 points.
MISSED = (49 / 90, 53.5 / 99)
# The same study left out as published: the median of 510, 610, 710, 810 is 660, and
# 36/30 * 33 = 39.6: 60 points. Exact scoring takes it for a miss.
LEFT_OUT = (49 / 90, 59.5 / 99)


def clean_tree(folder: Path) -> Path:
    """Write the two submissions and give the folder that holds them."""
    add_studies(folder, "a", OGBG, [300.0] * 5)
    add_studies(folder, "b", OGBG, SLOW)
    return folder


def place(study: int = 0, trial: int = 1, workload: str = OGBG, framework: str = "jax") -> Place:
    """Give a place of submission b; trial 1 is the one that hits."""
    return Place(submission="b", workload=workload, study=study, trial=trial, framework=framework)


def check(found: Scored, scores: tuple[float, float]) -> None:
    """Check b's exact and published score; a is the best and has 1."""
    for by_name, score in zip((found.exact, found.published), scores, strict=True):
        assert set(by_name) == {"a", "b"}
        assert by_name["a"] == 1.0
        assert math.isclose(by_name["b"], score, rel_tol=1e-9)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyCell:
    """One study of a table that was never on disk: a trial with one evaluation."""

    submission: str
    workload: str
    study: int
    seconds: float | None
    """None where the trial has no evaluation."""


def runs_of(
    cells: Sequence[StudyCell], rules: ScoreRules | None = None, n_studies: int = 5
) -> Runs:
    """Give tables of one trial a study, in the order given; budgets are endless."""
    target = 0.5
    trials: list[Mapping[str, object]] = [
        {
            **_EMPTY_TRIAL,
            "submission": cell.submission,
            "workload": cell.workload,
            "study": cell.study,
            "n_studies": n_studies,
            "target": target,
            "n_rows": int(cell.seconds is not None),
        }
        for cell in cells
    ]
    rows = [
        {
            "trial_id": trial_id,
            "step": 1,
            "time": 1.0 if math.isinf(cell.seconds) else cell.seconds,
            "train": math.nan,
            "validation": target / 2 if math.isinf(cell.seconds) else target,
            "test": math.nan,
            "model_evaluations": math.nan,
        }
        for trial_id, cell in enumerate(cells)
        if cell.seconds is not None
    ]
    table = typed(trials, TRIAL_COLUMNS)
    table.index = pd.RangeIndex(len(table), name="trial_id")
    return Runs(
        trials=table,
        rows=typed(rows, ROW_COLUMNS),
        dirt=dirt_table([]),
        rules=rules or score_rules(V05, "external"),
        ruleset="external",
        unit="seconds",
    )


_EMPTY_TRIAL: Mapping[str, object] = {
    **dict.fromkeys(TRIAL_COLUMNS, ""),
    "framework": "jax",
    "trial": 1,
    "n_trials": 1,
    "ruleset": "external",
    "unit": "seconds",
    "metric": "accuracy",
    "larger_is_better": True,
    "budget": math.inf,
    "hyperparameters": "{}",
    "seed": 0,
    "batch_size": 0,
    "deviations": (),
    "hardware_class": "hand",
    "reason": "unknown",
    "is_truncated": False,
    "meta": "{}",
}


def scandir_in_order(seed: int | None) -> type[object]:
    """Give os.scandir with the entries reversed, or shuffled by a seed."""
    scandir = os.scandir

    class Listed:
        """The entries of a folder in that order."""

        def __init__(self, path: str | Path = ".") -> None:
            with scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name, reverse=True)
            self.entries = found if seed is None else random.Random(seed).sample(found, len(found))
            self.rest = iter(self.entries)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def __iter__(self) -> Iterator[os.DirEntry[str]]:
            return self

        def __next__(self) -> os.DirEntry[str]:
            return next(self.rest)

        def close(self) -> None:
            """Nothing is open."""

    return Listed
