"""How a submission is drawn: one colour, dash pattern and marker, the same in every figure.

The colours are Okabe and Ito's (2008), "Color Universal Design", darkened for lines on white; their
yellow and sky blue are left out, because they cannot be. Each has a partner for a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SERIES = ("#0072b2", "#d55e00", "#00815e", "#a64d8c", "#9a6b00", "#4d5566")
SERIES_ON_DARK = ("#5aa9e6", "#ff8a3d", "#3cc79a", "#e08cc8", "#e6b422", "#b4bcc8")
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (5, 1.6),
    (1.2, 1.3),
    (7, 1.6, 1.2, 1.6),
    (3, 1.2, 1.2, 1.2, 1.2, 1.2),
)
"""Lengths of line and gap, in widths of the line; five against six colours: thirty pairs before one
returns."""
N_MARKERS = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How one submission is drawn: places in SERIES, DASHES and the markers."""

    color: int
    dash: int
    marker: int


def looks(submissions: Sequence[str]) -> dict[str, Look]:
    """Give every submission its look, in the order given; colour alone never tells two apart."""
    return {
        name: Look(color=i % len(SERIES), dash=i % len(DASHES), marker=i % N_MARKERS)
        for i, name in enumerate(submissions)
    }


def style_sheet() -> str:
    """Give the colours as variables of a style sheet, for a light and for a dark page."""
    light = _variables(SERIES)
    dark = _variables(SERIES_ON_DARK)
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n"
        f"@media print{{:root:root:root{{{light}}}}}\n"
    )


def _variables(colors: Sequence[str]) -> str:
    return "".join(f"--series-{i}:{color};" for i, color in enumerate(colors))
