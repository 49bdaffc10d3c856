"""Draws line charts as SVG text: quick, small, the same every time, and readable without scripts.

Colours and dashes are classes (`s0` to `s5`, `d0` to `d4`), so a chart inside a page follows the
page's theme; `svg_file` makes a chart a file of its own with a light and a dark side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from reports.palette import DASHES, SERIES, SERIES_ON_DARK, Look

WIDTH, HEIGHT = 520, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 42
_INK, _MUTED, _GRID = ("#1a2230", "#5a6473", "#e1e5eb")
_DARK_INK, _DARK_MUTED, _DARK_GRID = ("#e7eaf0", "#9ca6b5", "#313a46")


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A range of values and how it is named."""

    low: float
    high: float
    label: str
    is_log: bool = False

    def share(self, value: float) -> float:
        """Give where a value lies: 0 at `low`, 1 at `high`; cut off just beyond both."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low * 1e-3))
        return min(max((value - low) / (high - low), -0.05), 1.05)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line through points; a value that is not finite breaks it."""

    xs: Sequence[float]
    ys: Sequence[float]
    look: Look
    is_strong: bool = True
    is_step: bool = False
    """Whether each value holds until the next point."""
    marked: int | None = None
    """The place of a point that gets a dot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A straight line across the chart with a name."""

    value: float
    label: str
    is_vertical: bool = False


def line_chart(
    x: Axis, y: Axis, lines: Sequence[Line], rules: Sequence[Rule] = (), title: str = ""
) -> str:
    """Draw lines between two axes; gives an `<svg>` element that says its title to who listens."""
    parts = [_grid(x, y), '<g clip-path="inset(0)">']
    parts += [_path(line, x, y) for line in lines]
    parts.append("</g>")
    parts += [_rule(rule, x, y) for rule in rules]
    name = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f"{name}>{''.join(parts)}</svg>"
    )


def svg_file(chart: str) -> str:
    """Give a chart as a document of its own, which carries its colours for light and for dark."""
    light = _style(SERIES, _INK, _MUTED, _GRID)
    dark = _style(SERIES_ON_DARK, _DARK_INK, _DARK_MUTED, _DARK_GRID)
    dashes = "".join(
        f".d{i}{{stroke-dasharray:{','.join(f'{2.2 * n:g}' for n in dash)}}}"
        for i, dash in enumerate(DASHES)
        if dash
    )
    style = (
        "text{font:12px system-ui,sans-serif}path,line{fill:none}.strong{stroke-width:2.2}"
        f".thin{{stroke-width:1;opacity:.32}}{dashes}{light}"
        f"@media(prefers-color-scheme:dark){{{dark}}}"
    )
    return chart.replace(">", f"><style>{style}</style>", 1) + "\n"


def ticks(axis: Axis, n: int = 5) -> list[float]:
    """Give round values on an axis, about `n` of them.

    >>> ticks(Axis(low=0.0, high=1.0, label=""))
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(Axis(low=0.02, high=50.0, label="", is_log=True))
    [0.1, 1.0, 10.0]
    """
    if axis.is_log:
        decades = range(math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high)) + 1)
        found = [10.0**k for k in decades]
        if len(found) >= 2:
            return found[:: max(1, len(found) // n)]
    span = (axis.high - axis.low) / n
    size = 10.0 ** math.floor(math.log10(span))
    step = min((size * k for k in (1.0, 2.0, 2.5, 5.0, 10.0)), key=lambda s: abs(s - span))
    first = math.ceil(axis.low / step - 1e-9)
    last = math.floor(axis.high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def tick_text(value: float) -> str:
    """Give a tick's number, thousands as k and millions as M.

    >>> tick_text(0.2), tick_text(25000.0), tick_text(2.5e6)
    ('0.2', '25k', '2.5M')
    """
    for size, mark in ((1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e9:
            return f"{value / size:.4g}{mark}"
    return f"{value:.4g}"


def place_x(axis: Axis, value: float) -> float:
    """Give where a value lies on the way from left to right, in the chart's own units."""
    return round(_LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT), 1)


def place_y(axis: Axis, value: float) -> float:
    """Give where a value lies on the way from top to bottom, in the chart's own units."""
    return round(HEIGHT - _BOTTOM - axis.share(value) * (HEIGHT - _TOP - _BOTTOM), 1)


def _grid(x: Axis, y: Axis) -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value in ticks(y):
        at = place_y(y, value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:g}" y2="{at:g}"/>'
            f'<text class="muted" x="{_LEFT - 8}" y="{at + 4:g}" text-anchor="end">'
            f"{tick_text(value)}</text>"
        )
    for value in ticks(x):
        at = place_x(x, value)
        parts.append(
            f'<text class="muted" x="{at:g}" y="{bottom + 18}" text-anchor="middle">'
            f"{tick_text(value)}</text>"
        )
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<text class="ink" x="{(_LEFT + right) / 2:g}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x.label)}</text>"
        f'<text class="ink" transform="translate(13 {(_TOP + bottom) / 2:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.label)}</text>'
    )
    return "".join(parts)


def _path(line: Line, x: Axis, y: Axis) -> str:
    commands: list[str] = []
    move = _mover(line.is_step)
    for at_x, at_y in zip(line.xs, line.ys, strict=True):
        if math.isfinite(at_x) and math.isfinite(at_y):
            commands.append(
                move(not commands or commands[-1] == "", place_x(x, at_x), place_y(y, at_y))
            )
        elif commands and commands[-1]:
            commands.append("")
    look = line.look
    name = f"s{look.color} strong d{look.dash}" if line.is_strong else f"s{look.color} thin"
    text = f'<path class="{name}" d="{"".join(commands)}"/>'
    if line.marked is not None:
        at = place_x(x, line.xs[line.marked]), place_y(y, line.ys[line.marked])
        text += f'<circle class="f{look.color}" cx="{at[0]:g}" cy="{at[1]:g}" r="4.5"/>'
    return text


def _mover(is_step: bool) -> Callable[[bool, float, float], str]:
    def move(is_first: bool, x: float, y: float) -> str:
        if is_first:
            return f"M{x:g} {y:g}"
        return f"H{x:g}V{y:g}" if is_step else f"L{x:g} {y:g}"

    return move


def _rule(rule: Rule, x: Axis, y: Axis) -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    if rule.is_vertical:
        at = place_x(x, rule.value)
        return (
            f'<line class="rule" x1="{at:g}" x2="{at:g}" y1="{_TOP}" y2="{bottom}"/>'
            f'<text class="muted" x="{at - 5:g}" y="{bottom - 6}" text-anchor="end">'
            f"{escape(rule.label)}</text>"
        )
    at = place_y(y, rule.value)
    return (
        f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{at:g}" y2="{at:g}"/>'
        f'<text class="ink" x="{_LEFT + 6}" y="{at - 5:g}">{escape(rule.label)}</text>'
    )


def _style(series: Sequence[str], ink: str, muted: str, grid: str) -> str:
    colors = "".join(
        f".s{i}{{stroke:{color}}}.f{i}{{fill:{color}}}" for i, color in enumerate(series)
    )
    return (
        f"{colors}.grid{{stroke:{grid}}}.axis{{stroke:{muted}}}.ink{{fill:{ink}}}"
        f".muted{{fill:{muted}}}.rule{{stroke:{ink};stroke-dasharray:4 3}}"
    )
