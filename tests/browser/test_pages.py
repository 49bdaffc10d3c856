"""Every page in a real browser: links, tables, plots, light and dark, phones, and hostile names."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from pacebench.cli.serving import server_of
from reports.curves import curves_of
from reports.leaderboard_page import profile_steps
from reports.paths import safe_name, submission_page_path, workload_page_path
from reports.results import results_of
from reports.site import write_site
from reports.values import label
from scoring import Runs, Scoreboard
from tests.browser.accessibility import serious_faults
from tests.browser.competition import PLAIN, WORKLOADS
from tests.browser.conftest import Open

pytestmark = pytest.mark.browser

KINDS = (
    "index.html",
    "trust.html",
    "workloads/index.html",
    "submissions/index.html",
    workload_page_path(WORKLOADS[0]),
    submission_page_path("n" * 10_000),
)
LINKS = (
    "[...document.querySelectorAll('[href],[src]')].map(e => e.href?.baseVal ?? e.href ?? e.src)"
)
NAMES = "[...document.querySelectorAll('#leaderboard tbody tr')].map(r => r.dataset.submission)"
TRACES = "document.querySelector('{} .area').data.length"


def wait_for_plot(page: Page) -> None:
    page.locator(".area .main-svg").first.wait_for()


def wait_until(page: Page, expression: str) -> None:
    """Poll from here: the page's policy forbids what Playwright's own waiting evaluates."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {expression}")


def row_names(page: Page) -> list[str]:
    names: list[str] = page.evaluate(NAMES)
    return names


def test_every_page_opens_and_every_link_leads_somewhere(open_page: Open, site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 4 + len(WORKLOADS) + 12
    ids: dict[Path, set[str]] = {}
    links: list[tuple[Path, str]] = []
    for path in pages:
        page = open_page(path)
        assert page.title().startswith(("pacebench", "Can")) or "pacebench" in page.title()
        ids[path] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))
        links += [(path, link) for link in page.evaluate(LINKS)]
        assert page.locator("img[src='x'], body script:not([src])").count() == 0
        page.close()
    assert len(links) > 300
    for path, link in links:
        if link.startswith("data:"):
            continue
        parts = urlsplit(link)
        assert parts.scheme == "file", f"{link} on {path}"
        target = Path(unquote(parts.path))
        assert target.is_file(), f"{link} on {path}"
        assert target.is_relative_to(site)
        assert not parts.fragment or unquote(parts.fragment) in ids[target], f"{link} on {path}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_no_serious_fault(open_page: Open, site: Path, name: str, scheme: str) -> None:
    page = open_page(site / name)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    if name == "index.html" or name.startswith("workloads/digits"):
        page.locator("[data-plot]").first.scroll_into_view_if_needed()
        wait_for_plot(page)
    assert serious_faults(page) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways(open_page: Open, site: Path, width: int) -> None:
    for name in KINDS:
        page = open_page(site / name)
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.close()


def test_the_leaderboard_is_sorted_by_mouse_and_by_keyboard(
    open_page: Open, site: Path, competition: tuple[Runs, Scoreboard]
) -> None:
    _, board = competition
    page = open_page(site / "index.html")
    usual = [label(name) for name in board.table["submission"]]
    assert row_names(page) == usual
    reached = dict(zip(usual, board.table["n_reached"], strict=True))
    page.get_by_role("button", name="Reached").click()
    most_first = row_names(page)
    assert most_first == sorted(usual, key=lambda name: -reached[name])  # equals keep their order
    header = page.locator("th[data-column=reached]")
    assert header.get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Reached").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert row_names(page) == sorted(most_first, key=lambda name: reached[name])
    page.get_by_role("button", name="Rank", exact=True).press("Space")
    assert row_names(page) == usual
    assert page.locator("[aria-sort]").count() == 1


def test_numbers_are_sorted_before_texts_and_blanks_last(open_page: Open, site: Path) -> None:
    page = open_page(site / "index.html")
    cells = "[...document.querySelectorAll('#leaderboard td[data-column=framework]')]"
    page.evaluate(f"{cells}.map((c, i) => c.dataset.value = ['10', '', '5 a', '6', 'b'][i % 5])")
    page.get_by_role("button", name="Framework").click()
    values = page.evaluate(f"{cells}.map(c => c.dataset.value)")
    order = ["6", "10", "5 a", "b", ""]
    assert values == sorted(values, key=order.index)
    assert len(set(values)) == 5


def test_the_filter_shows_rows_with_all_words_and_says_how_many(
    open_page: Open, site: Path
) -> None:
    page = open_page(site / "index.html")
    page.get_by_label("Filter").fill("STEADY torch")
    shown = page.locator("#leaderboard tbody tr:visible")
    assert [row.get_attribute("data-submission") for row in shown.all()] == ["steady"]
    assert page.locator("[data-status=leaderboard]").inner_text() == "1 of 12 shown"
    page.get_by_label("Filter").fill("")
    assert shown.count() == 12


def test_tables_are_copied_as_csv_and_markdown(
    open_page: Open, site: Path, competition: tuple[Runs, Scoreboard]
) -> None:
    _, board = competition
    page = open_page(site / "index.html")
    page.evaluate("navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }")
    page.get_by_role("button", name="Copy as CSV").click()
    wait_until(page, "Boolean(globalThis.copied)")
    rows = list(csv.DictReader(io.StringIO(page.evaluate("copied"))))
    assert [row["Submission"] for row in rows] == [label(n) for n in board.table["submission"]]
    assert [float(row["Score"]) for row in rows] == board.table["score"].tolist()
    page.evaluate("globalThis.copied = ''")
    page.get_by_role("button", name="Copy as Markdown").click()
    wait_until(page, "Boolean(globalThis.copied)")
    lines = page.evaluate("copied").splitlines()
    assert len(lines) == 2 + 12
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(rows[0]) + 1}
    assert "\\_\\_proto\\_\\_" in page.evaluate("copied")
    assert page.locator("[data-status=leaderboard]").inner_text() == "Copied as Markdown"


def test_profiles_can_be_hidden_and_a_clicked_line_names_its_workloads(
    open_page: Open, site: Path, competition: tuple[Runs, Scoreboard]
) -> None:
    page = open_page(site / "index.html")
    page.locator("#profiles").scroll_into_view_if_needed()
    wait_for_plot(page)
    assert page.evaluate(TRACES.format("#profiles")) == 12
    button = page.locator("#profiles .legend button").first
    assert button.inner_text() == "steady"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    visible = "document.querySelector('#profiles .area').data.filter(t => t.visible).length"
    wait_until(page, f"{visible} === 11")
    button.click()
    wait_until(page, f"{visible} === 12")
    # Where all lines are, one of those that coincide there is hit; it must say its own steps.
    x, y = page.evaluate(
        """() => { const a = document.querySelector('#profiles .area'), l = a._fullLayout;
        const line = a.data.at(-1), at = a.getBoundingClientRect(), i = line.x.length - 10;
        return [at.x + l._size.l + l.xaxis.d2p(line.x[i]),
                at.y + l._size.t + l.yaxis.d2p(line.y[i])]; }"""
    )
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    details = page.locator("#profiles .details")
    details.get_by_text("rises at").wait_for()
    said = details.inner_text().splitlines()
    steps = {step["name"]: step for step in profile_steps(results_of(*competition))}
    own = steps[said[0].removesuffix(" rises at")]
    risen = [
        f"τ {tau:.2f}" for tau, names in zip(own["tau"], own["workloads"], strict=True) if names
    ]
    assert [line[: len("τ 1.00")] for line in said if line.startswith("τ")] == risen
    page.get_by_role("button", name="steps of __proto__").press("Enter")
    assert "__proto__" in details.locator("strong").inner_text()


def test_learning_curves_are_those_that_were_thinned(
    open_page: Open, site: Path, competition: tuple[Runs, Scoreboard]
) -> None:
    page = open_page(site / workload_page_path("digits"))
    page.locator("#curves-time").scroll_into_view_if_needed()
    wait_for_plot(page)
    names = page.evaluate("PACEBENCH.data.board.submissions.map(one => one.name)")
    wanted = curves_of(results_of(*competition))["digits"]
    drawn = page.evaluate("PACEBENCH.data.curves")
    assert len(drawn["curves"]) == len(wanted)
    for got, curve in zip(drawn["curves"], wanted, strict=True):
        assert names[got[0]] == label(curve.submission)
        assert got[1:4] == [curve.study, curve.trial, int(curve.is_best)]
        times = [sum(got[5][: i + 1]) for i in range(len(got[5]))]
        seconds = [time / drawn["scale"] * drawn["longest"]["time"] for time in times]
        assert seconds == pytest.approx(curve.times.tolist(), abs=drawn["longest"]["time"] / 2000)
        assert got[7] == pytest.approx(curve.values.tolist(), rel=1e-3)
    best = "document.querySelector('#curves-time .area').data.filter(t => t.opacity === 1)"
    shown = page.evaluate(f"{best}.map(t => [t.name, t.x.filter(x => x !== null).length])")
    n_best = {label(c.submission): len(c.times) for c in wanted if c.is_best}
    assert dict(shown)["swift"] == n_best["swift"]
    assert len(shown) == 12


def test_the_chosen_theme_holds_on_every_page(open_page: Open, site: Path) -> None:
    page = open_page(site / "index.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Use dark colours").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto((site / "trust.html").as_uri())
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="Use light colours").click()
    assert page.evaluate(background) == light


def test_without_scripts_everything_is_there_but_the_tools(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("#leaderboard tbody tr").count() == 12
    assert page.locator("#profiles img").is_visible()
    assert page.locator("#profiles img").get_attribute("alt", timeout=1000)
    assert not page.get_by_role("button", name="Copy as CSV").is_visible()
    page.goto((site / workload_page_path("digits")).as_uri())
    assert page.locator(".plot img").count() == 2
    assert page.get_by_role("img", name="Share of trials not at the target").is_visible()
    assert page.locator("#trial-table tbody tr").count() > 30
    context.close()


def test_leaderboards_of_several_rules_lead_to_each_other(
    open_page: Open, competition: tuple[Runs, Scoreboard], tmp_path: Path
) -> None:
    runs, board = competition
    other = replace(board, ruleset="self")
    site = write_site(
        [results_of(runs, board), results_of(replace(runs, ruleset="self"), other)],
        tmp_path / "site",
    ).parent
    page = open_page(site / "index.html")
    page.get_by_role("link", name="house, self tuning").click()
    page.wait_for_url("**/house_self/index.html")
    assert row_names(page) == [label(name) for name in board.table["submission"]]
    page.get_by_role("link", name=PLAIN[0]).first.click()
    page.wait_for_url(f"**/house_self/submissions/{safe_name(PLAIN[0])}.html")
    page.get_by_role("link", name="house, external tuning").click()
    page.wait_for_url("**/site/index.html")


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """The address of the website, served as `pacebench report --serve` does."""
    server = server_of(site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_served_website_asks_for_nothing_but_its_own_files(
    browser: Browser, address: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on(
        "request", lambda r: None if r.url.startswith((address, "data:")) else faults.append(r.url)
    )
    page.goto(f"{address}/")
    page.locator("#profiles").scroll_into_view_if_needed()
    wait_for_plot(page)
    assert faults == []
    folder = page.goto(f"{address}/data/")
    assert folder is not None
    assert folder.status == 404
    context.close()
