"""The two ways to make a score, as fields: the documented definition and AlgoPerf's own code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """How evaluations become scores. Code branches on these fields, never on the name."""

    name: str
    is_fewest_evaluations_first: bool
    """Which trial stands for a study: the one that met the target at its earliest evaluation (of
    equals the fastest, then the first), and not simply the fastest."""
    is_budget_kept: bool
    """Whether evaluations after the budget count as not made."""
    is_missing_study_missed: bool
    """Whether a planned study without evaluations is a miss, and not simply left out."""
    is_best_before_gates: bool
    """Whether ratios are to the best of all submissions, and not of those that pass the gates."""
    n_grid_points: int | None
    """The trapezoid rule's points from 1 to tau_max; None integrates the steps exactly."""


EXACT = Method(
    name="exact",
    is_fewest_evaluations_first=False,
    is_budget_kept=True,
    is_missing_study_missed=True,
    is_best_before_gates=True,
    n_grid_points=None,
)
"""AlgoPerf's documented definition."""

PUBLISHED = Method(
    name="published",
    is_fewest_evaluations_first=True,
    is_budget_kept=False,
    is_missing_study_missed=False,
    is_best_before_gates=False,
    n_grid_points=100,
)
"""What AlgoPerf's scoring code does, which made the published leaderboards of v0.5 and v0.6."""

METHODS = {method.name: method for method in (EXACT, PUBLISHED)}
