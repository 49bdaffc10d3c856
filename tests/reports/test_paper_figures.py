"""Figures for papers: whole documents for any values, with names as plain text."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest

from reports.curves import curves_of
from reports.drawing import ONE_COLUMN, TWO_COLUMNS, drawing, saved
from reports.palette import DASHES, SERIES, SERIES_ON_DARK, looks
from reports.paper_figures import figure_links, learning_figure, paper_figures, profile_figure
from reports.results import Results, results_of
from scoring import read_runs, score_runs
from tests.scoring.run_folders import add_trial

SVG = "{http://www.w3.org/2000/svg}"
STYLE = Path(__file__).parents[2] / "reports" / "static" / "style.css"


def results_in(folder: Path) -> Results:
    runs = read_runs([folder])
    return results_of(runs, score_runs(runs))


def texts(svg: object) -> list[str]:
    assert isinstance(svg, bytes)
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_names_are_drawn_as_they_are_and_long_ones_cut(tmp_path: Path) -> None:
    names = ["_hidden", "$\\frac$", "<b>&", "日本語 🐢", "x" * 200]
    for name in names:
        add_trial(tmp_path / str(len(name)), [(1.0, 0.95)], submission=name)
    with drawing():
        shown = texts(saved(profile_figure(results_in(tmp_path), ONE_COLUMN), "svg"))
    assert set(names[:4]) <= set(shown)
    assert f"{'x' * 27}\N{HORIZONTAL ELLIPSIS}" in shown


@pytest.mark.parametrize(
    "values", [[], [math.nan], [1e26, 0.3, math.nan, 0.1], [1e308, -1e308], [8.0, 2.0, 0.05]]
)
@pytest.mark.parametrize("larger_is_better", [True, False])
def test_any_values_can_be_drawn(
    tmp_path: Path, values: list[float], larger_is_better: bool
) -> None:
    pairs = [(float(i + 1), value) for i, value in enumerate(values)]
    add_trial(tmp_path, pairs, larger_is_better=larger_is_better)
    results = results_in(tmp_path)
    with drawing():
        figure = learning_figure(results, "digits", curves_of(results)["digits"], TWO_COLUMNS)
        assert "target 0.9" in texts(saved(figure, "svg"))


def test_every_figure_is_made_in_both_widths_and_formats_and_twice_the_same(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.1), (50.0, 0.95)])
    results = results_in(tmp_path)
    made = paper_figures(results, ["pdf", "svg"])
    assert len(made) == 3 * 2 * 2
    assert {bytes(made[path])[:5] for path in made if path.endswith("pdf")} == {b"%PDF-"}  # type: ignore[arg-type]
    with matplotlib.rc_context({"font.size": 30.0, "pdf.fonttype": 3}):  # a user's own settings
        assert paper_figures(results, ["pdf", "svg"]) == made
    links = dict(figure_links(made))
    assert list(links) == ["curves-digits", "heat", "profiles"]
    assert ("figures/paper-heat-1column.pdf", "1 column pdf") in links["heat"]
    assert paper_figures(results, []) == {}


def test_thirty_submissions_look_different_beyond_their_colour() -> None:
    names = [f"s{i}" for i in range(30)]
    drawn = {(look.color, look.dash) for look in looks(names).values()}
    assert len(drawn) == 30 == len(SERIES) * len(DASHES)
    first_six = [looks(names)[name] for name in names[:6]]
    assert len({(look.dash, look.marker) for look in first_six}) == 6


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


def test_lines_stand_out_from_both_panels() -> None:
    # WCAG 2.2, 1.4.11: at least 3 for lines. Text is checked in the browser, by axe-core.
    style = STYLE.read_text()
    for panel, series in (("#ffffff", SERIES), ("#171c24", SERIES_ON_DARK)):
        assert f"--panel: {panel}" in style
        for color in series:
            assert contrast(color, panel) >= 3.0


def test_first_submissions_are_distinct_in_grey() -> None:
    # In grey only dashes and markers are left: those of the first 35 (5 x 7) differ.
    names = [f"s{i}" for i in range(35)]
    assert len({(look.dash, look.marker) for look in looks(names).values()}) == 35
