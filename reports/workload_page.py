"""What a workload's page shows: who reached its target when, and how they got there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from reports.chart import Axis, Line, Rule, line_chart, svg_file
from reports.curves import Curve, thinning_text, visible_range
from reports.leaderboard_page import workload_rows
from reports.palette import Look
from reports.paths import submission_page_path
from reports.results import Results
from reports.values import interval, number, short

SCRIPTS = ("site.js", "plots.js", "curves.js")
_STRIP_WIDTH, _STRIP_HEIGHT = 260, 22


def facts(results: Results, curves: Mapping[str, Sequence[Curve]]) -> dict[str, dict[str, Any]]:
    """Give by workload what its page shows, but for the table of its trials."""
    return {
        row["name"]: {
            "workload": {**row, "n_studies": results.sure.n_studies},
            "rows": submission_rows(results, row["name"]),
            "thinning": thinning_text(curves[row["name"]]),
            "alt": _alt(results, row["name"]),
            "survival": survival_chart(results, row["name"]),
        }
        for row in workload_rows(results)
    }


def submission_rows(results: Results, workload: str) -> list[dict[str, Any]]:
    """Give what each submission did on a workload: its studies, its median, its hits."""
    board = results.board
    at = results.workloads.index(workload)
    hits = _of_workload(results, "hit_rates", workload)
    running = _of_workload(results, "expected_running_times", workload)
    largest = float(board.trials.loc[board.trials["workload"] == workload, "budget"].max())
    rows = []
    for name in results.submissions:
        times = board.studies.times[board.studies.submissions.index(name), at]
        studies = [time for time in times.tolist() if not math.isnan(time)]
        median, ratio = results.times[name][workload], results.ratios[name][workload]
        rows.append(
            {
                "name": name,
                "page": submission_page_path(name),
                "look": results.looks[name],
                "time": median,
                "ratio": ratio,
                "is_reached": math.isfinite(median),
                "is_closed": math.isfinite(median) and math.isinf(ratio),
                "studies": [number(t) if math.isfinite(t) else "missed" for t in studies],
                "strip": strip(studies, median, largest, results.looks[name]),
                "hits": hits[name],
                "rate": interval(hits[name]["low"], hits[name]["high"], ".2f"),
                "expected": running[name]["time"],
            }
        )
    return rows


def strip(studies: Sequence[float], median: float, budget: float, look: Look) -> Markup:
    """Draw the times of studies as dots on the way to the budget; a miss is a cross beyond it."""
    middle, end = _STRIP_HEIGHT / 2, _STRIP_WIDTH - 40
    shapes = [
        f'<line class="track" x1="6" x2="{end}" y1="{middle:g}" y2="{middle:g}"/>'
        f'<line class="budget" x1="{end}" x2="{end}" y1="3" y2="{_STRIP_HEIGHT - 3}"/>'
    ]
    if math.isfinite(median):
        x = 6 + min(median / budget, 1.0) * (end - 6)
        shapes.append(f'<line class="median" x1="{x:.1f}" x2="{x:.1f}" y1="3" y2="19"/>')
    n_missed = 0
    for time in sorted(studies):
        if math.isfinite(time):
            x = 6 + min(time / budget, 1.0) * (end - 6)
            shapes.append(f'<circle class="f{look.color}" cx="{x:.1f}" cy="{middle:g}" r="4.2"/>')
        else:
            x = end + 7 + 8 * (n_missed % 4)
            y = middle - 3 * (n_missed // 4)
            shapes.append(f'<path class="s{look.color}" d="M{x - 3:g} {y - 3:g}l6 6m0 -6l-6 6"/>')
            n_missed += 1
    return Markup(
        f'<svg class="studies" viewBox="0 0 {_STRIP_WIDTH} {_STRIP_HEIGHT}" aria-hidden="true">'
        f"{''.join(shapes)}</svg>"
    )


def survival_chart(results: Results, workload: str) -> Markup:
    """Draw the share of trials that have not reached the target yet, as the time goes by."""
    table = results.tables["survival"]
    cells = dict(list(table[table["workload"] == workload].groupby("submission")))
    budget = float(
        results.board.trials.loc[results.board.trials["workload"] == workload, "budget"].max()
    )
    lines = []
    for name, look in reversed(results.looks.items()):
        cell = cells[name]
        lines.append(
            Line(
                xs=[*cell["time"], budget],
                ys=[*cell["survival"], cell["survival"].iloc[-1]],
                look=look,
                is_step=True,
            )
        )
    x = Axis(low=0.0, high=budget, label=f"submission time ({results.board.unit})")
    y = Axis(low=0.0, high=1.0, label="trials not at the target yet")
    said = "; ".join(
        f"{short(name, 40)} {cells[name]['survival'].iloc[-1]:.0%}" for name in results.submissions
    )
    return Markup(
        line_chart(x, y, lines, title=f"Share of trials not at the target at the budget: {said}.")
    )


def curves_picture(results: Results, workload: str, curves: Sequence[Curve], x_name: str) -> str:
    """Draw the learning curves over "time" or "step"; gives the text of an SVG file."""
    trials = results.board.trials[results.board.trials["workload"] == workload]
    low, high, is_log = visible_range(curves, trials)
    looks = results.looks
    lines = [
        Line(
            xs=(c.times if x_name == "time" else c.steps).tolist(),
            ys=c.values.tolist(),
            look=looks[c.submission],
            is_strong=c.is_best,
            marked=c.hit if c.is_best else None,
        )
        for c in sorted(curves, key=lambda c: c.is_best)
    ]
    longest = max((float(line.xs[-1]) for line in lines), default=1.0) or 1.0
    budget = float(trials["budget"].max())
    target = float(trials["target"].iloc[0])
    rules = [Rule(value=target, label=f"target {target:g}")]
    if x_name == "time" and budget <= 1.6 * longest:
        longest = max(longest, 1.02 * budget)
        rules.append(Rule(value=budget, label="budget", is_vertical=True))
    unit = results.board.unit
    x = Axis(
        low=0.0, high=longest, label="step" if x_name == "step" else f"submission time ({unit})"
    )
    metric = short(str(trials["metric"].iloc[0]), 40)
    y = Axis(low=low, high=high, label=f"validation {metric}", is_log=is_log)
    return svg_file(line_chart(x, y, lines, rules))


def _of_workload(results: Results, table: str, workload: str) -> dict[str, dict[str, Any]]:
    found = results.tables[table]
    return {
        str(row["submission"]): {str(key): value for key, value in row.items()}
        for row in found[found["workload"] == workload].to_dict("records")
    }


def _alt(results: Results, workload: str) -> str:
    """Say in words what the learning curves show."""
    times = results.board.times[workload]
    texts = [
        f"{short(name, 40)} {number(times[name])} {results.board.unit}"
        if math.isfinite(times[name])
        else f"{short(name, 40)} missed"
        for name in results.submissions[:40]
    ]
    return f"Median time to target: {'; '.join(texts)}."
