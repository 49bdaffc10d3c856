"""The website: every page, figure, data file and copied log of a report, from scored runs.

Whatever a submission wrote (names, authors, messages) is escaped by the templates and in the page
data, and names become paths only through `reports.paths`. The pages load scripts, styles and data
from their own folder and nothing from a network. The same runs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from reports.board_pages import board_files
from reports.folder import Content, replace_site
from reports.palette import style_sheet
from reports.paths import board_folder
from reports.rendering import Place, environment
from reports.results import Results

_STATIC = Path(__file__).parent / "static"
_STYLE = "style.css"


def write_site(results: Sequence[Results], out: Path, figures: Sequence[str] = ()) -> Path:
    """Write a website with a leaderboard for each of `results` to `out`; gives its first page.

    `figures` are the formats, "pdf" or "svg", in which figures for papers are written beside.
    Raises StoreError if `out` holds anything but an earlier website.
    """
    folders = [
        "" if i == 0 else board_folder(r.board.rules, r.board.ruleset) + "/"
        for i, r in enumerate(results)
    ]
    names = [f"{r.board.rules}, {r.board.ruleset} tuning" for r in results]
    boards = tuple(
        (name, f"{folder}index.html") for name, folder in zip(names, folders, strict=True)
    )
    files: dict[str, Content] = dict(_static_files())
    templates = environment()
    for one, folder in zip(results, folders, strict=True):
        place = Place(folder=folder, boards=boards)
        for name, content in board_files(one, place, templates, figures).items():
            files[f"{folder}{name}"] = content
    replace_site(out, files)
    return out / "index.html"


def _static_files() -> Iterator[tuple[str, Content]]:
    """Give our scripts and styles, with the colours in front, and the plotting library's script."""
    for path in sorted(_STATIC.iterdir()):
        if path.suffix in (".js", ".css") and path.name != _STYLE:
            yield f"static/{path.name}", path
    yield f"static/{_STYLE}", style_sheet() + (_STATIC / _STYLE).read_text(encoding="utf-8")
    script = resources.files("plotly") / "package_data" / "plotly.min.js"
    with resources.as_file(script) as path:
        yield "static/plotly.min.js", path.read_bytes()
