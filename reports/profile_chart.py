"""The picture of the performance profiles that is there before, and without, any script."""

from __future__ import annotations

from reports.chart import Axis, Line, line_chart, svg_file
from reports.results import Results


def profile_picture(results: Results) -> str:
    """Draw the profiles as exact steps; gives the text of an SVG file."""
    board = results.board
    lines = []
    for name, look in reversed(results.looks.items()):  # so that the best lies on top
        steps = board.profile[board.profile["submission"] == name]
        lines.append(
            Line(
                xs=[*steps["tau"], board.tau_max],
                ys=[*steps["rho"], steps["rho"].iloc[-1]],
                look=look,
                is_step=True,
            )
        )
    x = Axis(low=1.0, high=board.tau_max, label="within a factor τ of the best time")
    y = Axis(low=0.0, high=1.0, label="share of workloads")
    return svg_file(line_chart(x, y, lines))
