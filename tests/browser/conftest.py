"""One browser for all tests here, one small website, and pages that refuse errors and networks.

    make test-browser        or        pytest -m browser tests/browser

The browser is Chromium: PACEBENCH_CHROMIUM names it, else it is looked for on the PATH.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from reports.results import results_of
from reports.site import write_site
from scoring import Runs, Scoreboard, score_runs
from tests.browser.competition import read_competition

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL = ("file:", "data:", "blob:", "about:")
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = os.environ.get("PACEBENCH_CHROMIUM") or next(
        filter(None, map(shutil.which, CHROMIUM)), None
    )
    if path is None:
        pytest.fail(
            f"no browser: none of {', '.join(CHROMIUM)} is on the PATH; install Debian's "
            "package chromium, or set PACEBENCH_CHROMIUM to the path of one",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def competition(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, Scoreboard]:
    """A small competition with hostile names, gaps and misses, and its score."""
    runs = read_competition(tmp_path_factory.mktemp("runs"))
    return runs, score_runs(runs)


@pytest.fixture(scope="session")
def site(competition: tuple[Runs, Scoreboard], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the website of that competition; tests leave it as it is."""
    return write_site([results_of(*competition)], tmp_path_factory.mktemp("out") / "site").parent


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Give a function that opens a file in a new tab and waits until it is loaded.

    At the end the test fails if a page wrote an error or a warning to its console, raised, or
    asked for anything that is not a local file.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)  # generous: a machine may be busy
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"{message.type} on the console: {message.text}")

    def on_request(request: Request) -> None:
        if not request.url.startswith(LOCAL):
            faults.append(f"asked for {request.url}")

    context.on("console", on_console)
    context.on("request", on_request)
    context.on("requestfailed", lambda r: faults.append(f"did not get {r.url}: {r.failure}"))
    context.on("weberror", lambda e: faults.append(f"raised {e.error}"))

    def opened(path: Path, hash_: str = "") -> Page:
        page = context.new_page()
        page.goto(path.as_uri() + hash_)
        page.wait_for_load_state("load")
        return page

    yield opened
    context.close()
    assert faults == []
