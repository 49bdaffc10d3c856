"""Turns matplotlib figures into SVG text that is the same every time and has a dark side.

Colours are written for a light page. A style sheet inside the SVG swaps each for its dark partner
where the reader prefers dark, so that one file serves both and any other viewer shows the light.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.figure import Figure

from scoring.text import printable

INK, MUTED, GRID = "#1c2430", "#5b6675", "#d9dee5"
# Okabe and Ito (2008), "Color Universal Design", darkened for lines on white; their yellow and sky
# blue are left out, because they cannot be.
SERIES = ("#0072b2", "#d55e00", "#00815e", "#a64d8c", "#9a6b00", "#4d5566")
DARK = {
    INK: "#e6e9ef",
    MUTED: "#9aa5b4",
    GRID: "#39424f",
    "#0072b2": "#5aa9e6",
    "#d55e00": "#ff8a3d",
    "#00815e": "#3cc79a",
    "#a64d8c": "#e08cc8",
    "#9a6b00": "#e6b422",
    "#4d5566": "#b4bcc8",
}
# Five dash patterns against six colours: thirty pairs before one returns.
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "solid",
    (0, (5, 1.6)),
    (0, (1.2, 1.3)),
    (0, (7, 1.6, 1.2, 1.6)),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
MARKERS = "oDs^vPX"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SETTINGS = {
    "svg.hashsalt": "pacebench",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "font.size": 11.0,
    "legend.frameon": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings and none of the user's own matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def to_svg(figure: Figure) -> str:
    """Give a figure, drawn inside `drawing`, as SVG text without date, version or random ids."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Names may hold letters that matplotlib's font lacks; the browser has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            bbox_inches="tight",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = re.sub(r"'DejaVu Sans'(?:, [^;\"]+?)*, sans-serif", _FONT, buffer.getvalue())
    return text.replace("<defs>", f"<style>{_dark_rules()}</style>\n <defs>", 1)


def plain(text: str, limit: int = 48) -> str:
    """Give another's text fit for a figure: one line, printable, at most `limit` characters."""
    shown = printable(text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def _dark_rules() -> str:
    rules = [
        f'[style*="{part}: {light}"]{{{part}:{dark}!important}}'
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
    ]
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
