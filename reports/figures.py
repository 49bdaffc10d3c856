"""The figures of a report: performance profiles and learning curves, as SVG text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.svg import DASHES, INK, MARKERS, MUTED, SERIES, drawing, plain, to_svg
from scoring import Scoreboard

_SIZE_INCHES = (5.8, 3.7)  # small, so that its text can be read on a phone


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How one submission is drawn, the same in every figure."""

    color: str
    dashes: Any  # what matplotlib takes as a line style
    marker: str


def looks(submissions: Sequence[str]) -> dict[str, Look]:
    """Give every submission its look, in the order given; colour alone never tells two apart."""
    return {
        name: Look(
            color=SERIES[i % len(SERIES)],
            dashes=DASHES[i % len(DASHES)],
            marker=MARKERS[i % len(MARKERS)],
        )
        for i, name in enumerate(submissions)
    }


def profile_figure(board: Scoreboard) -> str:
    """Draw the performance profiles as exact steps; gives SVG text."""
    with drawing():
        figure = Figure(figsize=_SIZE_INCHES)
        axes = figure.add_subplot()
        names = list(board.table["submission"])
        for i, (name, look) in enumerate(looks(names).items()):
            steps = board.profile[board.profile["submission"] == name]
            tau = [*steps["tau"], board.tau_max]
            rho = [*steps["rho"], steps["rho"].iloc[-1]]
            axes.step(
                tau,
                rho,
                where="post",
                color=look.color,
                linestyle=look.dashes,
                # Lines that coincide stay visible: the better-ranked is wider and below.
                linewidth=1.8 + 2.2 * (len(names) - 1 - i) / len(names),
                marker=look.marker,
                markevery=[0],
                clip_on=False,
            )
        axes.set_xlim(1.0, board.tau_max)
        axes.set_ylim(0.0, 1.03)
        axes.set_xlabel("within a factor τ of the best time")
        axes.set_ylabel("share of workloads")
        _add_legend(axes, looks(names))
        return to_svg(figure)


def learning_figure(board: Scoreboard, rows: pd.DataFrame, workload: str, x: str) -> str:
    """Draw the validation metric of all trials on a workload over `x`, "time" or "step".

    The best trial of each submission is drawn strong, with a marker where it met the target.
    Gives SVG text. `rows` is the table of `scoring.read`.
    """
    trials = board.trials[board.trials["workload"] == workload]
    facts = trials.iloc[0]
    with drawing():
        figure = Figure(figsize=_SIZE_INCHES)
        axes = figure.add_subplot()
        look_of = looks(list(board.table["submission"]))
        rows_of: dict[Any, pd.DataFrame] = dict(
            list(rows[rows["trial_id"].isin(trials.index)].groupby("trial_id"))
        )
        for trial_id, trial in trials.sort_values("is_best", kind="stable").iterrows():
            if trial_id in rows_of:
                _draw_trial(axes, trial, rows_of[trial_id], x, look_of[trial["submission"]])
        _set_limits(axes, trials, rows_of, x)
        _draw_target(axes, float(facts["target"]), is_ceiling=bool(facts["larger_is_better"]))
        if x == "time":
            _draw_budget(axes, float(facts["budget"]))
        axes.set_xlabel("step" if x == "step" else f"submission time ({board.unit})")
        axes.set_ylabel(f"validation {plain(str(facts['metric']))}")
        present = set(trials["submission"])
        _add_legend(axes, {name: look for name, look in look_of.items() if name in present})
        return to_svg(figure)


def _draw_trial(axes: Axes, trial: pd.Series[Any], rows: pd.DataFrame, x: str, look: Look) -> None:
    is_best = bool(trial["is_best"])
    # Values beyond what any figure shows (1e300) would overflow in the transform to pixels.
    values = rows["validation"].clip(-1e30, 1e30)
    axes.plot(
        rows[x],
        values,
        color=look.color,
        linestyle=look.dashes if is_best else "solid",
        linewidth=2.2 if is_best else 1.0,
        alpha=1.0 if is_best else 0.32,
        zorder=3 if is_best else 2,
    )
    if is_best and math.isfinite(trial["time_to_target"]):
        hit = rows[rows["step"] == trial["step_at_target"]].iloc[0]
        axes.plot(
            [hit[x]],
            [hit["validation"]],
            marker=look.marker,
            color=look.color,
            zorder=4,
            markersize=8,
        )


def _set_limits(
    axes: Axes, trials: pd.DataFrame, rows_of: Mapping[Any, pd.DataFrame], x: str
) -> None:
    """Show what is near the target; diverged and first values may lie outside."""
    facts = trials.iloc[0]
    best = [rows_of[i] for i in trials.index[trials["is_best"]] if i in rows_of]
    late = [rows["validation"].iloc[len(rows) // 4 :] for rows in best]  # the start is far below
    values = np.array([v for column in late for v in column if math.isfinite(v)])
    values = np.append(np.clip(values, -1e30, 1e30), facts["target"])
    low, high = float(values.min()), float(values.max())
    if facts["larger_is_better"]:
        low = float(np.quantile(values, 0.1))
    else:
        high = float(np.quantile(values, 0.9))
        if low > 0 and high > 20 * low:
            axes.set_yscale("log")
            axes.set_ylim(low / 1.5, high * 1.3)
            low = high
    if low < high:
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    longest = max((float(rows[x].max()) for rows in rows_of.values()), default=1.0)
    axes.set_xlim(0.0, 1.04 * longest)


def _draw_target(axes: Axes, target: float, *, is_ceiling: bool) -> None:
    """Draw the target, named on the far side of the line, which the curves reach last."""
    axes.axhline(target, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1.5)
    axes.annotate(
        f"target {target:g}",
        (0.0, target),
        xycoords=("axes fraction", "data"),
        xytext=(5, 5 if is_ceiling else -5),
        textcoords="offset points",
        va="bottom" if is_ceiling else "top",
        color=INK,
    )


def _draw_budget(axes: Axes, budget: float) -> None:
    end = axes.get_xlim()[1]
    if budget <= 1.6 * end:
        axes.set_xlim(0.0, max(end, 1.04 * budget))
        axes.axvline(budget, color=MUTED, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1.5)
        place: dict[str, Any] = {"xy": (budget, 0.03), "xycoords": ("data", "axes fraction")}
        text = "budget"
    else:
        place = {"xy": (1.0, 0.03), "xycoords": "axes fraction"}
        text = f"budget {budget:g} lies beyond →"
    axes.annotate(
        text, xytext=(-4, 0), textcoords="offset points", ha="right", color=MUTED, **place
    )


def _add_legend(axes: Axes, look_of: Mapping[str, Look]) -> None:
    handles = [
        Line2D([], [], color=look.color, linestyle=look.dashes, marker=look.marker, linewidth=2.2)
        for look in look_of.values()
    ]
    legend = axes.legend(
        handles,
        ["?"] * len(handles),  # set below: a label that starts with _ would be left out
        loc="upper left",
        bbox_to_anchor=(0.0, -0.19),
        ncols=2 if any(len(name) > 12 for name in look_of) else 3,
        handlelength=3.2,
        borderaxespad=0.0,
    )
    for text, name in zip(legend.get_texts(), look_of, strict=True):
        text.set_text(plain(name, 28))
