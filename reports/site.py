"""The website: every page, figure and copied file of a report, from runs and their score.

The pages hold no script and load nothing from a network. Whatever a submission wrote (names,
authors, messages) is escaped by the templates, and names become paths only through `safe_name`.
The same runs give the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pacebench.errors import LogsError
from reports import pages
from reports.figures import learning_figure, profile_figure
from reports.folder import replace_site
from scoring import Runs, Scoreboard, leaderboard_records
from scoring.text import printable

PROFILE_FIGURE = "figures/profile.svg"


def write_site(runs: Runs, board: Scoreboard, out: Path) -> Path:
    """Write the website of `runs` and their score to the folder `out`; gives its first page.

    Raises StoreError if `out` holds anything but an earlier website.
    """
    replace_site(out, {**_pages(board), **_figures(runs, board), **_copies(runs)})
    return out / "index.html"


def _pages(board: Scoreboard) -> dict[str, str]:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = pages.number
    workloads = [pages.workload_facts(board, workload) for workload in board.times.columns]
    shared: dict[str, Any] = {
        "board": board,
        "unit_mark": "s" if board.unit == "seconds" else "steps",
        "workloads": workloads,
    }
    index = environment.get_template("index.html").render(
        **shared,
        root="",
        submissions=pages.submission_facts(board),
        dirt=pages.dirt_facts(board),
        environment=pages.environment_facts(board.trials),
        profile_figure=PROFILE_FIGURE,
        figure_of={name: pages.figure_path(name, "time") for name in board.times.columns},
    )
    made = {
        "index.html": index,
        "style.css": environment.get_template("style.css").render(),
        "leaderboard.csv": board.table.to_csv(index=False, lineterminator="\n"),
        "leaderboard.json": json.dumps(leaderboard_records(board), indent=1, allow_nan=False)
        + "\n",
    }
    page = environment.get_template("workload.html")
    for facts in workloads:
        figures = [pages.figure_path(facts["name"], x) for x in _axes(board)]
        made[facts["page"]] = page.render(**shared, root="../", workload=facts, figures=figures)
    return made


def _visible(value: Any) -> Any:
    """Replace what cannot be seen in a text; what is already markup was made from such texts."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value, keep="\n\t") if is_text else value


def _figures(runs: Runs, board: Scoreboard) -> dict[str, str]:
    made = {PROFILE_FIGURE: profile_figure(board)}
    for workload in board.times.columns:
        for x in _axes(board):
            figure = learning_figure(board, runs.rows, workload, x)
            made[pages.figure_path(workload, x)] = figure
    return made


def _axes(board: Scoreboard) -> tuple[str, ...]:
    """What learning curves are drawn over; where steps are charged, time and step are the same."""
    return ("time", "step") if board.unit == "seconds" else ("time",)


def _copies(runs: Runs) -> dict[str, Path]:
    made: dict[str, Path] = {}
    for _, trial in runs.trials.iterrows():
        folder = pages.trial_path(trial)
        if f"{folder}/trial.json" in made:
            raise LogsError(f"two trials would share the folder {folder}; rename one's submission")
        for name in pages.COPIED_FILES:
            source = Path(trial["folder"]) / name
            if source.is_file():
                made[f"{folder}/{name}"] = source
    return made
