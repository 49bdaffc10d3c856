"""Everything that the pages of one leaderboard show, computed by `scoring` beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.palette import Look, looks
from scoring import Runs, Scoreboard
from scoring.bootstrap import Sureness, how_sure
from scoring.sensitivity import order_changes
from scoring.sureness_tables import sureness_tables

BASELINE = "baseline"
"""The submission that speedups are over if it is there and no other is asked for."""


Cells = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The runs under one rules version and ruleset, their score, and how sure it is."""

    runs: Runs
    board: Scoreboard
    sure: Sureness
    tables: Mapping[str, pd.DataFrame]
    """See `scoring.sureness_tables`."""
    changes: pd.DataFrame
    """See `scoring.sensitivity.order_changes`."""
    reference: str
    """The submission that speedups are over."""
    times: Cells
    """Median time to target by submission and workload; inf for a miss."""
    ratios: Cells
    """The same divided by the best, after the gates."""
    areas: Cells
    """What each base workload adds to each submission's score."""

    @property
    def submissions(self) -> list[str]:
        """All submissions, best first."""
        return list(self.board.table["submission"])

    @property
    def workloads(self) -> list[str]:
        """All workloads that decide the score: base first, then held-out."""
        return list(self.board.times.columns)

    @property
    def looks(self) -> dict[str, Look]:
        """How each submission is drawn."""
        return looks(self.submissions)


def results_of(runs: Runs, board: Scoreboard, reference: str | None = None) -> Results:
    """Compute what a website shows of scored runs.

    `reference` is the submission that speedups are over; if None the one named "baseline", else
    the best-ranked. Raises UnknownNameError if there is no such submission.
    """
    names = list(board.table["submission"])
    chosen = reference or (BASELINE if BASELINE in names else names[0])
    return Results(
        runs=runs,
        board=board,
        sure=how_sure(board),
        tables=sureness_tables(runs, board, chosen),
        changes=order_changes(board),
        reference=chosen,
        times=cells(board.times),
        ratios=cells(board.ratios),
        areas=cells(board.areas),
    )


def cells(table: pd.DataFrame) -> Cells:
    """Give a table of submissions by workloads as plain numbers."""
    return {
        str(name): {str(workload): float(value) for workload, value in row.items()}
        for name, row in table.to_dict("index").items()
    }
