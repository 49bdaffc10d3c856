"""Figures for papers: profiles, heat table and learning curves, one and two columns wide.

Colour-blind safe, and distinct in grey: every submission has dashes and a marker beside its colour,
and the heat table writes its numbers into the cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.curves import curves_of, visible_range
from reports.drawing import (
    INK,
    MARKERS,
    ONE_COLUMN,
    TWO_COLUMNS,
    add_legend,
    drawing,
    line_style,
    saved,
)
from reports.folder import Content
from reports.palette import SERIES
from reports.paths import safe_name
from reports.results import Results
from reports.values import number, short

_WIDTHS = {"1column": ONE_COLUMN, "2columns": TWO_COLUMNS}
_N_MARKERS_ON_A_LINE = 4


def paper_figures(results: Results, formats: Sequence[str]) -> dict[str, Content]:
    """Give by path every figure in every format ("pdf", "svg") and width."""
    made: dict[str, Content] = {}
    if not formats:
        return made
    for name, draw in _figures(results):
        for width_name, width in _WIDTHS.items():
            with drawing():
                figure = draw(width)
                for form in formats:
                    made[f"figures/{name}-{width_name}.{form}"] = saved(figure, form)
    return made


def figure_links(paths: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Give the figures' names, and of each the paths of its files with a word for each."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(paths):
        stem, _, form = path.removeprefix("figures/paper-").rpartition(".")
        name, _, width = stem.rpartition("-")
        found.setdefault(name, []).append((path, f"{width[0]} {width[1:]} {form}"))
    return list(found.items())


def _figures(results: Results) -> Iterator[tuple[str, Callable[[float], Figure]]]:
    yield "paper-profiles", lambda width: profile_figure(results, width)
    yield "paper-heat", lambda width: heat_figure(results, width)
    curves = curves_of(results)
    for workload in results.workloads:
        chosen = [curve for curve in curves[workload] if curve.is_best]

        def draw(width: float, workload: str = workload, chosen: Any = chosen) -> Figure:
            return learning_figure(results, workload, chosen, width)

        yield f"paper-curves-{safe_name(workload)}", draw


def profile_figure(results: Results, width: float) -> Figure:
    """Draw the performance profiles as exact steps."""
    figure, axes = _new(width, 0.62)
    board, looks = results.board, results.looks
    for i, (name, look) in enumerate(looks.items()):
        steps = board.profile[board.profile["submission"] == name]
        axes.step(
            [*steps["tau"], board.tau_max],
            [*steps["rho"], steps["rho"].iloc[-1]],
            where="post",
            color=SERIES[look.color],
            linestyle=line_style(look),
            # Lines that coincide stay visible: the better-ranked is wider and below.
            linewidth=0.9 + 1.2 * (len(looks) - 1 - i) / len(looks),
        )
        # One marker a line, each at a τ of its own: in grey, and where lines coincide, it tells.
        at = 1.0 + (board.tau_max - 1.0) * (i + 0.7) / (len(looks) + 0.4)
        height = steps["rho"][steps["tau"] <= at].iloc[-1]
        axes.plot(at, height, MARKERS[look.marker], color=SERIES[look.color], markersize=3.6)
    axes.set_xlim(1.0, board.tau_max)
    axes.set_ylim(0.0, 1.03)
    axes.set_xlabel("within a factor τ of the best time")
    axes.set_ylabel("share of workloads")
    add_legend(axes, looks, 2 if width < 5 else 4)
    return figure


def heat_figure(results: Results, width: float) -> Figure:
    """Draw what each base workload adds to each score, with the ratio to the best written in."""
    base = list(results.board.columns.base)
    areas = np.array([[results.areas[s][w] for w in base] for s in results.submissions])
    figure, axes = _new(width, min(2.4, (0.7 + 0.19 * len(areas)) / width + 0.12))
    axes.imshow(areas, cmap="Blues", vmin=0.0, vmax=2.0, aspect="auto")
    size = 6.5 if width > 5 else 4.6
    for i, name in enumerate(results.submissions):
        for j, workload in enumerate(base):
            ratio = results.ratios[name][workload]
            text = f"{ratio:.2f}" if math.isfinite(ratio) else "–"
            axes.text(j, i, text, ha="center", va="center", fontsize=size, color=INK)
    axes.set_xticks(range(len(base)), [short(w, 24) for w in base], rotation=40, ha="right")
    axes.set_yticks(range(len(areas)), [short(name, 24) for name in results.submissions])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def learning_figure(results: Results, workload: str, curves: Any, width: float) -> Figure:
    """Draw the best trial of each submission on a workload over the submission time."""
    figure, axes = _new(width, 0.62)
    trials = results.board.trials[results.board.trials["workload"] == workload]
    looks = results.looks
    for curve in curves:
        look = looks[curve.submission]
        axes.plot(
            curve.times,
            np.clip(curve.values, -1e30, 1e30),  # far beyond, pixels would overflow
            color=SERIES[look.color],
            linestyle=line_style(look),
            linewidth=1.0,
            marker=MARKERS[look.marker],
            markersize=3.0,
            markevery=max(1, len(curve.times) // _N_MARKERS_ON_A_LINE),
        )
    low, high, is_log = visible_range(curves, trials)
    if is_log:
        axes.set_yscale("log")
    axes.set_ylim(low, high)
    target, budget = float(trials["target"].iloc[0]), float(trials["budget"].max())
    longest = max((float(curve.times[-1]) for curve in curves), default=1.0) or 1.0
    axes.axhline(target, color=INK, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.annotate(
        f"target {number(target)}",
        (0.99, target),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        fontsize=6.5,
    )
    if budget <= 1.6 * longest:
        longest = max(longest, budget)
        axes.axvline(budget, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.set_xlim(0.0, 1.02 * longest)
    axes.set_xlabel(f"submission time ({results.board.unit})")
    axes.set_ylabel(f"validation {short(str(trials['metric'].iloc[0]), 30)}")
    present = {curve.submission for curve in curves}
    add_legend(axes, {n: look for n, look in looks.items() if n in present}, 2 if width < 5 else 4)
    return figure


def _new(width: float, aspect: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, width * aspect), layout="constrained")
    return figure, figure.add_subplot()
