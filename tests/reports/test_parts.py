"""The small parts of a website: page data, paths, values, thinned curves, and charts."""

from __future__ import annotations

import doctest
import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reports.chart
import reports.curves
import reports.page_data
import reports.paths
import reports.trust_page
import reports.values
from reports.chart import Axis, Line, Rule, line_chart, svg_file, ticks
from reports.curves import Curve, thinned, visible_range
from reports.page_data import data_script
from reports.palette import Look
from reports.paths import safe_name, submission_page_path
from reports.results import results_of
from reports.submission_page import points_tried
from reports.trust_page import example
from scoring import EXACT, PUBLISHED, read_runs, score_runs
from scoring.score_rules import ScoreRules
from tests.scoring.study_folders import add_studies

MODULES = (
    reports.chart,
    reports.curves,
    reports.page_data,
    reports.paths,
    reports.trust_page,
    reports.values,
)
PLAIN = Look(color=0, dash=0, marker=0)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@given(st.text(st.characters(exclude_categories=[])) | st.sampled_from(["</script>", "\u2028'\\"]))
@settings(max_examples=60, deadline=None)
def test_page_data_is_ascii_that_no_text_breaks_out_of(text: str) -> None:
    script = data_script("x", {"__proto__": text})
    assert script.isascii()
    assert "<" not in script
    quoted = re.fullmatch(r".*\n.*JSON\.parse\('(.*)'\);\n", script)
    assert quoted is not None
    inside = re.sub(r"\\(.)", r"\1", quoted.group(1))  # what JavaScript makes of the literal
    assert json.loads(inside) == {"__proto__": text}


def test_page_data_refuses_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_script("x", [math.inf])
    with pytest.raises(ValueError, match="cannot be the name of page data"):
        data_script("x;alert(1)", 1)


def test_file_names_of_different_names_differ_and_never_hide_an_overview() -> None:
    names = ["a/b", "a_b", "a b", "\udcff", "\udcfe", "index", "..", "x" * 10_000, "x" * 9_999, ""]
    made = [safe_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,70}", name) for name in made)
    assert submission_page_path("index") != "submissions/index.html"


@given(st.integers(1, 500), st.integers(1, 80), st.data())
@settings(max_examples=50, deadline=None)
def test_thinned_curves_keep_first_last_and_hit(n: int, n_kept: int, data: st.DataObject) -> None:
    hit = data.draw(st.none() | st.integers(0, n - 1))
    places = thinned(n, n_kept, hit).tolist()
    assert places == sorted(set(places))
    assert {0, n - 1} <= set(places)
    assert hit is None or hit in places
    assert len(places) <= n_kept + 2


@pytest.mark.parametrize("larger_is_better", [True, False])
def test_a_target_that_was_left_far_behind_is_still_in_the_range(larger_is_better: bool) -> None:
    sign = 1.0 if larger_is_better else -1.0
    values = 0.7 + sign * np.linspace(-0.6, 0.2, 100)
    steps = np.arange(100.0)
    curve = Curve(
        **{"submission": "a", "study": 0, "trial": 1, "is_best": True, "hit": 12},
        **{"times": steps, "steps": steps, "values": values, "n_evaluations": 100},
    )
    trials = pd.DataFrame({"target": [0.7 - sign * 0.5], "larger_is_better": [larger_is_better]})
    low, high, is_log = visible_range([curve], trials)
    assert low < 0.7 - sign * 0.5 < high
    assert not is_log


def test_hyperparameters_of_any_kind_are_told() -> None:
    points = [json.dumps({"x": 10**400, "b": True, "n": 1}), json.dumps({"x": 2, "b": 1, "n": 3})]
    rows = {row.pop("name"): row for row in points_tried(points)}
    assert rows["n"] == {"n": 2, "least": "1", "most": "3"}
    assert rows["x"] == {"n": 2, "least": "2", "most": "2"}
    assert rows["b"]["n"] == 2


def test_the_worked_example_divides_by_the_best_that_passes_the_gates(tmp_path: Path) -> None:
    times = {"closed": (10.0, None), "first": (20.0, 20.0), "other": (30.0, 20.0)}
    for name, row in times.items():
        for workload, seconds in zip(("digits", "wide"), row, strict=True):
            add_studies(tmp_path, name, workload, [[seconds]])
    rules = ScoreRules(
        version="house",
        base_workloads=("digits",),
        held_out={"wide": "digits"},
        n_studies=1,
        n_trials=1,
    )
    runs = replace(read_runs([tmp_path]), rules=rules)
    for method, best, firsts in ((PUBLISHED, 20.0, ["first"]), (EXACT, 10.0, ["closed"])):
        told = example(results_of(runs, score_runs(runs, method=method)))
        assert (told["best"], told["firsts"]) == (best, firsts)
        assert told["ratio"] == told["time"] / told["best"]


def test_a_chart_is_a_document_with_a_dark_side_and_harmless_words() -> None:
    x = Axis(low=0.0, high=10.0, label="</text><script>")
    y = Axis(low=0.01, high=100.0, label="loss", is_log=True)
    lines = [
        Line(xs=[1.0, 2.0, math.nan, 4.0], ys=[1.0, math.inf, 1.0, 1e300], look=PLAIN, marked=0),
        Line(xs=[0.0, 5.0], ys=[0.5, 50.0], look=PLAIN, is_step=True, is_strong=False),
    ]
    rules = [Rule(value=0.5, label="target <b>"), Rule(value=9.0, label="b", is_vertical=True)]
    text = svg_file(line_chart(x, y, lines, rules, title='"><script>'))
    root = ET.fromstring(text)
    assert "prefers-color-scheme:dark" in text
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    paths = [p.get("d") for p in root.iter("{http://www.w3.org/2000/svg}path")]
    # x: 52 + 45.6 a unit; y: four decades on 266, so 1 lies in the middle, at 12 + 133.
    assert paths[0] == "M97.6 145M234.4 -1.3"
    assert paths[1].startswith("M52 ")
    assert "H280V" in paths[1]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
@settings(max_examples=60, deadline=None)
def test_ticks_lie_on_the_axis_and_are_neither_few_nor_many(low: float, size: float) -> None:
    axis = Axis(low=low, high=low + size, label="")
    found = ticks(axis)
    assert 2 <= len(found) <= 12 or size < 1e-9 * abs(low)
    assert all(low - 1e-6 * size <= t <= low + size * (1 + 1e-6) for t in found) or size < abs(low)
