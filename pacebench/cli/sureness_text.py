"""Everything about uncertainty as sections of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pacebench.cli.score_text import time_text
from pacebench.cli.tables import aligned

if TYPE_CHECKING:
    import pandas as pd

    from scoring import Runs, Scoreboard
    from scoring.bootstrap import Sureness


def sections(runs: Runs, board: Scoreboard, sure: Sureness, reference: str | None) -> Iterator[str]:
    """Give the tables as text, each under a line that says what it is."""
    from scoring.sureness_tables import sureness_tables

    names = list(board.table["submission"])
    found = sureness_tables(runs, board, reference)

    def section(title: str, table: pd.DataFrame, form: Callable[[object], str]) -> Iterator[str]:
        yield f"\n{title}"
        header = ["submission", *(str(column) for column in table.columns)]
        rows = [[name, *map(form, table.loc[name])] for name in names if name in table.index]
        yield aligned(header, rows, right=header[1:])

    def ranks(name: str, by: str) -> pd.DataFrame:
        table = found[name]
        order = list(dict.fromkeys(table[by]))
        return table.pivot(index="submission", columns=by, values="rank").reindex(columns=order)

    def whole(rank: object) -> str:
        return "" if isinstance(rank, float) and math.isnan(rank) else f"{rank:g}"

    pairs = sure.pairs.set_axis(range(1, len(names) + 1), axis=1)
    if sure.n_studies > 1:
        yield from section("probability to be before the submission of rank …", pairs, _share)
    for title, name, by in (
        ("ranks without each workload", "without_each_workload", "left_out"),
        ("ranks without each submission", "without_each_submission", "left_out"),
        ("ranks with profiles up to tau", "by_tau", "tau_max"),
        ("ranks with targets relaxed by a share", "by_relaxed_target", "relaxed"),
        ("ranks if the target is charged in", "by_cost", "cost"),
    ):
        if len(found[name]):
            yield from section(title, ranks(name, by), whole)
    yield from _spreads(section, found, board, reference or names[0])


def _spreads(
    section: Callable[..., Iterator[str]],
    found: Mapping[str, pd.DataFrame],
    board: Scoreboard,
    reference: str,
) -> Iterator[str]:
    """Give what has intervals or depends on no other submission."""
    base = list(board.columns.base)
    by_count = found["by_study_count"]
    if len(by_count):
        text = by_count.assign(
            text=[f"{r.score_low:.3f}\N{EN DASH}{r.score_high:.3f}" for r in by_count.itertuples()]
        )
        table = text.pivot(index="submission", columns="n_studies", values="text")
        yield from section("scores over all choices of so many studies (least, most)", table, str)
    speed = found["speedups"].set_index("submission")
    title = f"geometric-mean speedup (2 is twice as fast as {reference}; a miss costs the budget)"
    yield from section(title, speed, _number)
    if "fixed_reference" in found:
        table = found["fixed_reference"].set_index("submission")
        yield from section("score against the rules' frozen baseline times", table, _number)
    hits = found["hit_rates"]
    overall = hits[hits["workload"] == "all"].set_index("submission").drop(columns="workload")
    yield from section("trials that reached the target (Wilson 95%)", overall, _number)
    running = found["expected_running_times"].pivot(
        index="submission", columns="workload", values="time"
    )
    title = f"expected running time: {board.unit} of all trials per hit"
    yield from section(title, running[base], _time)
    wins = found["wins_ties_losses"]
    text = wins.assign(text=[f"{r.n_wins}-{r.n_ties}-{r.n_losses}" for r in wins.itertuples()])
    names = list(board.table["submission"])
    table = text.pivot(index="submission", columns="other", values="text").reindex(columns=names)
    table = table.fillna("").set_axis(range(1, len(names) + 1), axis=1)
    yield from section("workloads won, tied and lost against the submission of rank …", table, str)
    tuning = found["tuning_budget"]
    mean = tuning[tuning["workload"].isin(base)].pivot_table(
        index="submission", columns="n_trials", values="hit_probability"
    )
    yield from section("share of targets reached with so many trials a study", mean, _share)
    yield "\nsurvival curves and all tables by workload: --how-sure --json"


def _share(value: object) -> str:
    return f"{value:.2f}"


def _number(value: object) -> str:
    return f"{value:.4g}"


def _time(value: float) -> str:
    return time_text(value)
