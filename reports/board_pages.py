"""All files of one leaderboard: its pages, their data, their pictures, and the copied logs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment

from reports import leaderboard_page, submission_page, trust_page, workload_page
from reports.curves import Curve, curves_data, curves_of
from reports.folder import Content
from reports.page_data import data_script
from reports.paper_figures import figure_links, paper_figures
from reports.paths import curves_path, figure_path, submission_page_path, workload_page_path
from reports.profile_chart import profile_picture
from reports.rendering import Place
from reports.results import Results
from reports.trial_rows import copies_of, grouped, trial_rows
from reports.values import without_formula
from reports.what_if import what_if_payload
from scoring import EXACT, leaderboard_records
from scoring.bootstrap import CONFIDENCE
from scoring.checks import hardware_classes

Files = dict[str, Content]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Board:
    """One leaderboard with what all of its pages share."""

    results: Results
    place: Place
    templates: Environment
    rows: Sequence[Mapping[str, Any]]
    """Of the leaderboard's table."""
    copies: Mapping[str, Path]
    trials: Sequence[dict[str, Any]]
    """See `reports.trial_rows`."""

    def render(self, template: str, here: str, depth: int = 0, **facts: Any) -> str:
        """Fill a template with what all pages show and with its own facts."""
        board = self.results.board
        return self.templates.get_template(template).render(
            board=board,
            sure=self.results.sure,
            confidence=CONFIDENCE,
            has_intervals=self.results.sure.n_studies > 1,
            reference=self.results.reference,
            unit_mark="s" if board.unit == "seconds" else "steps",
            has_copies=bool(self.copies),
            check_command=_check_command(self.results),
            here=here,
            **self.place.addresses(depth),
            **facts,
        )


def _check_command(results: Results) -> str:
    """Give the command that scores the copies again, as a shell takes it."""
    board = results.board
    words = ["pacebench", "score", "trials", "--rules", board.rules]
    if board.method != EXACT:
        words += ["--method", board.method.name]
    if len(hardware_classes(results.runs.trials)) > 1:
        words.append("--allow-mixed-hardware")
    return shlex.join(words)


def board_files(
    results: Results, place: Place, templates: Environment, figures: Sequence[str]
) -> Files:
    """Give by path, below the leaderboard's own folder, the content of every file."""
    copies = copies_of(results.runs)
    one = _Board(
        results=results,
        place=place,
        templates=templates,
        rows=leaderboard_page.leaderboard_rows(results),
        copies=copies,
        trials=trial_rows(results, copies),
    )
    made_figures = paper_figures(results, figures)
    curves = curves_of(results)
    table = results.board.table
    records = json.dumps(leaderboard_records(results.board), indent=1, allow_nan=False)
    return {
        **one.copies,
        **made_figures,
        **_data(results, curves),
        **_pictures(results, curves),
        **_overviews(one, figure_links(made_figures)),
        **_workloads(one, curves),
        **_submissions(one),
        "leaderboard.csv": table.map(without_formula).to_csv(index=False, lineterminator="\n"),
        "leaderboard.json": records + "\n",
    }


def _data(results: Results, curves: Mapping[str, Sequence[Curve]]) -> Files:
    """Give the data that the pages' scripts load."""
    made: Files = {
        "data/board.js": data_script("board", leaderboard_page.board_data(results)),
        "data/profiles.js": data_script("profiles", leaderboard_page.profile_data(results)),
        "data/what_if.js": data_script("what_if", what_if_payload(results.runs, results.board)),
    }
    for workload in results.workloads:
        payload = curves_data(results, workload, curves[workload])
        made[curves_path(workload)] = data_script("curves", payload)
    return made


def _pictures(results: Results, curves: Mapping[str, Sequence[Curve]]) -> Files:
    """Give the figures that pages show before, and without, any script."""
    made: Files = {"figures/profile.svg": profile_picture(results)}
    for workload in results.workloads:
        for x in _axes(results):
            picture = workload_page.curves_picture(results, workload, curves[workload], x)
            made[figure_path(workload, x)] = picture
    return made


def _axes(results: Results) -> tuple[str, ...]:
    """What learning curves are drawn over; where steps are charged, time and step are the same."""
    return ("time", "step") if results.board.unit == "seconds" else ("time",)


def _overviews(one: _Board, figures: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> Files:
    """Give the pages about all submissions and workloads."""
    results = one.results
    first = leaderboard_page.facts(results, one.rows)
    trials = results.board.trials.groupby("submission")["description"].first()
    cards = [{**row, "description": trials[row["name"]]} for row in one.rows]
    styles, scripts = leaderboard_page.STYLES, leaderboard_page.SCRIPTS
    return {
        "index.html": one.render(
            "index.html",
            "leaderboard",
            styles=styles,
            data=("data/profiles.js", "data/what_if.js"),
            scripts=scripts,
            figures=figures,
            **first,
        ),
        "trust.html": one.render(
            "trust.html",
            "trust",
            styles=(),
            data=(),
            scripts=trust_page.SCRIPTS,
            has_fixed="fixed_reference" in results.tables,
            **trust_page.facts(results),
        ),
        "workloads/index.html": one.render(
            "workloads.html",
            "workloads",
            1,
            styles=(),
            data=(),
            scripts=("site.js",),
            workloads=first["workloads"],
            heat_rows=first["heat_rows"],
        ),
        "submissions/index.html": one.render(
            "submissions.html",
            "submissions",
            1,
            styles=(),
            data=(),
            scripts=("site.js",),
            rows=cards,
        ),
    }


def _workloads(one: _Board, curves: Mapping[str, Sequence[Curve]]) -> Files:
    results = one.results
    trials = grouped(one.trials, "workload")
    made: Files = {}
    for name, facts in workload_page.facts(results, curves).items():
        made[workload_page_path(name)] = one.render(
            "workload.html",
            "workloads",
            1,
            styles=(),
            data=(curves_path(name),),
            scripts=workload_page.SCRIPTS,
            axes=_axes(results),
            pictures={x: figure_path(name, x) for x in _axes(results)},
            trials=trials.get(name, []),
            **facts,
        )
    return made


def _submissions(one: _Board) -> Files:
    results = one.results
    trials = grouped(one.trials, "submission")
    made: Files = {}
    for row in one.rows:
        name = row["name"]
        own = trials.get(name, [])
        made[submission_page_path(name)] = one.render(
            "submission.html",
            "submissions",
            1,
            styles=(),
            data=(),
            scripts=submission_page.SCRIPTS,
            row=row,
            about=submission_page.facts(results, name),
            cells=submission_page.workload_cells(results, name, own),
            trials=own,
        )
    return made
