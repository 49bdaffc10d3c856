"""The figures: whole SVG documents for any values, with names as plain text."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest

from reports.figures import learning_figure, looks, profile_figure
from reports.svg import DARK, GRID, INK, MUTED, SERIES
from scoring import read_runs, score_runs
from tests.scoring.run_folders import add_trial

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = ["_hidden", "$\\frac$", "<b>&", "日本語 🐢", "x" * 200]
    for name in names:
        add_trial(tmp_path / str(len(name)), [(1.0, 0.95)], submission=name)
    board = score_runs(read_runs([tmp_path]))
    shown = texts(profile_figure(board))
    assert set(names[:4]) <= set(shown)
    assert f"{'x' * 27}\N{HORIZONTAL ELLIPSIS}" in shown


@pytest.mark.parametrize(
    "values",
    [
        [],
        [math.nan],
        [0.5],
        [0.9, 0.9],
        [1e26, 0.3, math.nan, 0.1],
        [1e308, -1e308],
        [8.0, 2.0, 0.05, 0.01],
    ],
)
@pytest.mark.parametrize("larger_is_better", [True, False])
def test_any_values_can_be_drawn(
    tmp_path: Path, values: list[float], larger_is_better: bool
) -> None:
    pairs = [(float(i + 1), value) for i, value in enumerate(values)]
    add_trial(tmp_path, pairs, larger_is_better=larger_is_better)
    runs = read_runs([tmp_path])
    board = score_runs(runs)
    for x in ("time", "step"):
        assert "target 0.9" in texts(learning_figure(board, runs.rows, "digits", x))
    assert texts(profile_figure(board))


def test_the_budget_is_marked_or_said_to_lie_beyond(tmp_path: Path) -> None:
    for folder, seconds in (("near", 90.0), ("far", 9.0)):
        add_trial(tmp_path / folder, [(1.0, 0.1), (seconds, 0.5)])
    shown = {}
    for folder in ("near", "far"):
        runs = read_runs([tmp_path / folder])
        shown[folder] = texts(learning_figure(score_runs(runs), runs.rows, "digits", "time"))
    assert "budget" in shown["near"]
    assert "budget 100 lies beyond →" in shown["far"]


def test_figures_hold_no_date_and_do_not_depend_on_the_users_settings(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.1), (50.0, 0.95)])
    runs = read_runs([tmp_path])
    board = score_runs(runs)
    one = learning_figure(board, runs.rows, "digits", "time")
    with matplotlib.rc_context(
        {"font.size": 30.0, "svg.fonttype": "path", "axes.facecolor": "red"}
    ):
        assert learning_figure(board, runs.rows, "digits", "time") == one
        assert matplotlib.rcParams["font.size"] == 30.0
    assert "dc:date" not in one
    assert "Matplotlib v" not in one


def test_thirty_submissions_look_different_beyond_their_colour() -> None:
    names = [f"s{i}" for i in range(30)]
    drawn = {(look.color, str(look.dashes)) for look in looks(names).values()}
    assert len(drawn) == 30
    first_six = [looks(names)[name] for name in names[:6]]
    assert len({(str(look.dashes), look.marker) for look in first_six}) == 6


def luminance(color: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_stand_out_from_both_pages() -> None:
    # WCAG 2.2: 3 for lines (1.4.11), 4.5 for text (1.4.3). The panels' colours are in style.css.
    style = (Path(__file__).parents[2] / "reports" / "templates" / "style.css").read_text()
    light, dark = "#ffffff", "#1a2028"
    assert f"--panel: {light}" in style
    assert f"--panel: {dark}" in style
    assert set(DARK) == {INK, MUTED, GRID, *SERIES}
    for color in SERIES:
        assert contrast(color, light) >= 3.0
        assert contrast(DARK[color], dark) >= 3.0
    for color in (INK, MUTED):
        assert contrast(color, light) >= 4.5
        assert contrast(DARK[color], dark) >= 4.5
