"""Draws with matplotlib for papers: our settings, fonts in the file, the same bytes each time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.palette import DASHES, SERIES, Look
from reports.values import short

ONE_COLUMN, TWO_COLUMNS = 3.3, 6.9
"""Widths in inches that fit the columns of common two-column papers."""
MARKERS = "osD^vPX"
INK, GRID = "#1a2230", "#dfe3e8"
_SETTINGS = {
    "svg.hashsalt": "pacebench",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings and none of the user's own matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def saved(figure: Figure, form: str) -> bytes:
    """Give a figure, drawn inside `drawing`, as "pdf" or "svg" without date or random ids."""
    buffer = io.BytesIO()
    nothing: dict[str, Any] = {
        "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with warnings.catch_warnings():
        # Names may hold letters that matplotlib's font lacks; a box is shown for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer, format=form, bbox_inches="tight", pad_inches=0.02, metadata=nothing[form]
        )
    return buffer.getvalue()


def line_style(look: Look) -> Any:
    """Give a submission's dashes as matplotlib takes them."""
    dashes = DASHES[look.dash]
    return (0, dashes) if dashes else "solid"


def add_legend(axes: Axes, looks: dict[str, Look], n_columns: int) -> None:
    """Put a legend below the axes: colour, dashes and marker of every submission."""
    handles = [
        Line2D(
            [],
            [],
            color=SERIES[look.color],
            linestyle=line_style(look),
            marker=MARKERS[look.marker],
            markersize=3.5,
            linewidth=1.2,
        )
        for look in looks.values()
    ]
    legend = axes.figure.legend(
        handles,
        ["?"] * len(handles),  # set below: a label that starts with _ would be left out
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=n_columns,
        handlelength=3.4,
        columnspacing=1.2,
    )
    for text, name in zip(legend.get_texts(), looks, strict=True):
        text.set_text(short(name, 28))
