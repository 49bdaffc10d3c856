"""AlgoPerf's scores once more, in plain Python loops: what the package is compared with.

    python -m tests.scoring.reference LOGS > tests/scoring/competition.csv

Written from AlgoPerf's documentation and from what its scoring code does, without looking at
`scoring/` and importing nothing of it. It reads clean trees only: <submission>/study_<k>/
<workload>_<framework>/trial_<i>/eval_measurements.csv, one framework a workload. A table of times
is a dictionary: times[submission][workload] in seconds, inf for a miss.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuning.rules import Rules, load_rules

COMPETITION = Path(__file__).with_name("competition.csv")
"""Times to target of the AlgoPerf v0.5 external-tuning competition, made by this file."""
FACTOR = 4.0
"""Times above this factor times the best count as misses; profiles end here too."""
N_GRID_POINTS = 100

Times = dict[str, dict[str, float]]
Trial = list[tuple[float, dict[str, str]]]
"""The evaluations of a trial: submission time and cells by column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """The time of one study under both definitions; None where nothing was ever evaluated."""

    submission: str
    workload: str
    study: int
    published_seconds: float | None
    exact_seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Game:
    """Which workloads decide a score."""

    base: tuple[str, ...]
    held_out: tuple[tuple[str, str], ...] = ()
    """Held-out variants with their base workloads."""

    @property
    def names(self) -> tuple[str, ...]:
        """All workloads."""
        return (*self.base, *(variant for variant, _ in self.held_out))


def game_of(rules: Rules) -> Game:
    """Give the workloads of a rule version."""
    held_out = rules.held_out if rules.held_out_gate else ()
    pairs = tuple((name, str(rules.workload(name).variant_of)) for name in held_out)
    return Game(base=rules.base_workloads, held_out=pairs)


# Reading


def read_studies(submissions: Iterable[Path], rules: Rules, n_studies: int) -> list[Study]:
    """Give the studies of every workload of the rules; `submissions` are their folders."""
    found = []
    for submission in sorted(submissions):
        for workload in game_of(rules).names:
            for study in range(n_studies):
                trials = list(_trials(submission / f"study_{study}", workload))
                found.append(
                    Study(
                        submission=submission.name,
                        workload=workload,
                        study=study,
                        published_seconds=_published_study(trials, workload, rules),
                        exact_seconds=_exact_study(trials, workload, rules),
                    )
                )
    return found


def _trials(study: Path, workload: str) -> Iterator[Trial]:
    """Give the evaluations of each trial that has any, in the order of the file."""
    for framework in ("jax", "pytorch"):
        for path in study.glob(f"{workload}_{framework}/trial_*/eval_measurements.csv"):
            with path.open(newline="") as file:
                rows = list(csv.reader(file))
            names = rows[0]
            records = [dict(zip(names, row, strict=True)) for row in rows[1:]]
            if records:
                yield [(float(r["accumulated_submission_time"]), r) for r in records]


def _is_met(record: dict[str, str], workload: str, rules: Rules) -> bool:
    limits = rules.workload(workload)
    target = limits.scoring_validation_target
    if target is None:
        target = limits.validation_target
    cell = record[f"validation/{limits.metric}"]
    if cell == "":
        return False
    value = float(cell)  # of a NaN both comparisons are false
    return value >= target if limits.larger_is_better else value <= target


def _published_study(trials: Sequence[Trial], workload: str, rules: Rules) -> float | None:
    """Give the time of the trial whose first hit has the smallest index; of equals the least."""
    if not trials:
        return None
    best = (math.inf, math.inf)
    for trial in trials:
        for i, (seconds, record) in enumerate(trial):
            if _is_met(record, workload, rules):
                best = min(best, (float(i), seconds))
                break
    return best[1]


def _exact_study(trials: Sequence[Trial], workload: str, rules: Rules) -> float | None:
    """Give the least time to the target within the budget."""
    if not trials:
        return None
    best = math.inf
    for trial in trials:
        for seconds, record in trial:
            is_in_time = seconds <= rules.workload(workload).budget_seconds
            if is_in_time and _is_met(record, workload, rules):
                best = min(best, seconds)
                break
    return best


def write_table(studies: Iterable[Study]) -> None:
    """Write studies as CSV to the standard output."""
    columns = ["submission", "workload", "study", "published_seconds", "exact_seconds"]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for s in studies:
        seconds = [_cell(s.published_seconds), _cell(s.exact_seconds)]
        writer.writerow([s.submission, s.workload, s.study, *seconds])


def _cell(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.3f}" if math.isfinite(seconds) else "inf"


def read_table(path: Path = COMPETITION) -> list[Study]:
    """Read what `write_table` wrote."""
    with path.open(newline="") as file:
        return [
            Study(
                submission=row["submission"],
                workload=row["workload"],
                study=int(row["study"]),
                published_seconds=_seconds(row["published_seconds"]),
                exact_seconds=_seconds(row["exact_seconds"]),
            )
            for row in csv.DictReader(file)
        ]


def _seconds(cell: str) -> float | None:
    return float(cell) if cell else None


# Scoring


def median(values: Sequence[float]) -> float:
    """Give the middle value, or the mean of the two in the middle; inf if there is none."""
    if not values:
        return math.inf
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def published_times(studies: Iterable[Study], game: Game) -> Times:
    """Give medians over the studies that are there."""
    return _times(studies, game, is_published=True)


def exact_times(studies: Iterable[Study], game: Game) -> Times:
    """Give medians over all studies; one that is not there is a miss."""
    return _times(studies, game, is_published=False)


def _times(studies: Iterable[Study], game: Game, *, is_published: bool) -> Times:
    lists: dict[str, dict[str, list[float]]] = {}
    for s in studies:
        cells = lists.setdefault(s.submission, {name: [] for name in game.names})
        if not is_published:
            seconds = math.inf if s.exact_seconds is None else s.exact_seconds
            cells[s.workload].append(seconds)
        elif s.published_seconds is not None:
            cells[s.workload].append(s.published_seconds)
    return {s: {w: median(v) for w, v in cells.items()} for s, cells in lists.items()}


def exact_ratios(times: Times, game: Game) -> Times:
    """Give ratios to the best of all; a base workload whose variant failed is a miss."""
    ratios: Times = {s: {} for s in times}
    for w in game.names:
        best = min(times[s][w] for s in times)
        for s in times:
            is_missed = math.isinf(times[s][w])
            ratios[s][w] = math.inf if is_missed else times[s][w] / best
    for s in times:
        for variant, base in game.held_out:
            if ratios[s][variant] > FACTOR:
                ratios[s][base] = math.inf
    return ratios


def published_ratios(times: Times, game: Game) -> Times:
    """Give ratios to the best that is left after the gates, in the order of AlgoPerf's code."""
    left = {s: dict(row) for s, row in times.items()}
    for row in left.values():
        for variant, base in game.held_out:
            if math.isinf(row[base]):
                row[variant] = math.inf
    for w in game.names:
        best = min(row[w] for row in left.values())
        for row in left.values():
            if row[w] > FACTOR * best:
                row[w] = math.inf
    for row in left.values():
        for variant, base in game.held_out:
            if math.isinf(row[variant]):
                row[base] = math.inf
    for w in game.names:
        best = min(row[w] for row in left.values())
        for row in left.values():
            row[w] = math.inf if math.isinf(row[w]) else row[w] / best
    return left


def exact_scores(times: Times, game: Game) -> dict[str, float]:
    """Give the integral of each profile from 1 to 4 over 3: the sum of (4 - r) / 3 / n."""
    ratios = exact_ratios(times, game)
    return {
        s: sum(max(0.0, FACTOR - ratios[s][w]) / (FACTOR - 1.0) for w in game.base) / len(game.base)
        for s in times
    }


def published_scores(times: Times, game: Game) -> dict[str, float]:
    """Give the trapezoid rule over 100 points from 1 to 4, over 3."""
    ratios = published_ratios(times, game)
    step = (FACTOR - 1.0) / (N_GRID_POINTS - 1)
    found = {}
    for s in times:
        area = 0.0
        rho_before = 0.0
        for k in range(N_GRID_POINTS):
            tau = FACTOR if k == N_GRID_POINTS - 1 else 1.0 + k * step
            rho = sum(ratios[s][w] <= tau for w in game.base) / len(game.base)
            if k > 0:
                area += step * (rho_before + rho) / 2
            rho_before = rho
        found[s] = area / (FACTOR - 1.0)
    return found


def main() -> None:
    """Write the table of the logs whose submissions lie in the folder given."""
    rules = load_rules("algoperf-0.5")
    submissions = [path for path in Path(sys.argv[1]).iterdir() if path.is_dir()]
    write_table(read_studies(submissions, rules, rules.studies))


if __name__ == "__main__":
    main()
