"""Scores that the browser recomputes are those of `scoring`, to 1e-9, whatever is asked."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from reports import static
from reports.what_if import RELAX_MAX, what_if_payload
from scoring import METHODS, Runs, Scoreboard, read_runs, score_runs
from tests.browser.scored_again import (
    SCORE_ALL,
    check_same,
    scored_again,
    some_options,
    unchanged,
)
from tests.scoring.random_runs import random_runs

pytestmark = pytest.mark.browser
ARCHIVE = Path(__file__).parents[2].parent / "shared/data/algoperf-v0.5-external-logs.tar.xz"


@pytest.fixture(scope="module")
def scorer(browser: Browser) -> Page:
    """An empty page with nothing but scoring.js."""
    page = browser.new_page()
    (folder,) = static.__path__
    page.add_script_tag(path=Path(folder) / "scoring.js")
    return page


def in_browser(scorer: Page, payload: Any, options: Sequence[Any]) -> list[Any]:
    """Give what the browser makes of each of the options."""
    found: list[Any] = json.loads(scorer.evaluate(SCORE_ALL, [payload, options]))
    return found


def check_options(scorer: Page, runs: Runs, board: Scoreboard, n: int, seed: int) -> None:
    """Check `n` combinations of options against Python."""
    options = [unchanged(board), *some_options(board, n, seed, RELAX_MAX)]
    found = in_browser(scorer, what_if_payload(runs, board), options)
    for one, asked in zip(found, options, strict=True):
        check_same(one, scored_again(runs, board, asked), json.dumps(asked))


@pytest.mark.parametrize("method", METHODS)
def test_unchanged_it_gives_the_table_of_the_board(scorer: Page, method: str) -> None:
    for seed in range(12):
        runs = random_runs(seed)
        board = score_runs(runs, method=METHODS[method], tau_max=3.0)
        (found,) = in_browser(scorer, what_if_payload(runs, board), [{}])
        table = board.table
        assert [row["name"] for row in found["table"]] == table["submission"].tolist()
        assert [row["rank"] for row in found["table"]] == table["rank"].tolist()
        assert [row["score"] for row in found["table"]] == table["score"].tolist()
        assert [row["nReached"] for row in found["table"]] == table["n_reached"].tolist()


@pytest.mark.parametrize("first_seed", range(0, 60, 15))
def test_random_competitions_score_as_in_python(scorer: Page, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 15):
        runs = random_runs(seed)
        check_options(scorer, runs, score_runs(runs), 8, seed)


def test_hostile_names_score_as_in_python(
    scorer: Page, competition: tuple[Runs, Scoreboard]
) -> None:
    runs, board = competition
    both = [{**unchanged(board), "method": method} for method in METHODS]
    options = [*both, *some_options(board, 40, 7, RELAX_MAX)]
    found = in_browser(scorer, what_if_payload(runs, board), options)
    for one, asked in zip(found, options, strict=True):
        expected = scored_again(runs, board, asked)
        assert [(row["rank"], row["key"]) for row in one["table"]] == [
            (row["rank"], row["key"]) for row in expected["table"]
        ]
        for row, other in zip(one["table"], expected["table"], strict=True):
            assert row["score"] == pytest.approx(other["score"], abs=1e-9)
        check_same(one["profiles"], expected["profiles"], json.dumps(asked))


def test_the_v05_competition_scores_as_in_python(
    scorer: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not ARCHIVE.is_file():
        pytest.skip(f"{ARCHIVE.name} is not there: real logs are kept beside the repo")
    folder = tmp_path_factory.mktemp("v05")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    runs = read_runs([folder])
    for seed, method in enumerate(METHODS.values()):
        check_options(scorer, runs, score_runs(runs, method=method), 40, seed)


BAD_OPTIONS = [
    ({"method": "fast"}, "unknown method 'fast'; there are: exact, published"),
    ({"unit": "hours"}, "targets cannot be charged in 'hours'; the runs hold seconds"),
    ({"tauMax": 1}, "tauMax is 1; it must be above 1 and finite"),
    ({"relaxTarget": 0.06}, "relaxTarget is 0.06; it must be 0 to 0.05"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_an_option_that_is_not_allowed_is_refused(
    scorer: Page, options: dict[str, Any], message: str
) -> None:
    runs = random_runs(0)
    said = scorer.evaluate(
        "([payload, options]) => { try { PACEBENCH.score(payload, options); return 'no error'; }"
        " catch (error) { return `${error.name}: ${error.message}`; } }",
        [what_if_payload(runs, score_runs(runs)), options],
    )
    assert said == f"RangeError: {message}"
