"""The panel "What if" in a browser: it ranks again, says so, keeps its address, and goes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from reports.paths import safe_name
from scoring import Runs, Scoreboard
from tests.browser.accessibility import serious_faults
from tests.browser.competition import MARKUP
from tests.browser.scored_again import scored_again, unchanged

pytestmark = pytest.mark.browser
Open = Callable[..., Page]
Competition = tuple[Runs, Scoreboard]

TABLE = """() => [...document.querySelectorAll("#leaderboard tbody tr")]
  .filter((row) => row.getClientRects().length)
  .map((row) => {
    const cell = (name) => row.querySelector(`[data-column=${name}]`);
    return {
      place: Number(row.dataset.index),
      rank: Number(cell("rank").dataset.value),
      score: Number(cell("score").dataset.value),
      reached: cell("reached").textContent,
      shown: cell("rank").querySelector(".value").textContent,
      interval: cell("interval").textContent,
    };
  })"""
PUBLISHED = "own code (published)"


@pytest.fixture
def page(open_page: Open, site: Path) -> Page:
    """The leaderboard as it was made."""
    return open_page(site / "index.html")


def expected_rows(competition: Competition, **options: Any) -> list[tuple[int, int, float, str]]:
    """Give place as scored, rank, score and workloads reached of every row that is left."""
    runs, board = competition
    places = {safe_name(name): i for i, name in enumerate(board.table["submission"])}
    table = scored_again(runs, board, {**unchanged(board), **options})["table"]
    return [
        (places[r["key"]], r["rank"], r["score"], f"{r['nReached']}/{r['nWorkloads']}")
        for r in table
    ]


def shown_rows(page: Page) -> list[tuple[int, int, float, str]]:
    """Give the same of what the page shows, in its order."""
    return [(r["place"], r["rank"], r["score"], r["reached"]) for r in page.evaluate(TABLE)]


def check_rows(page: Page, competition: Competition, **options: Any) -> None:
    """Check the leaderboard that is shown, in its order."""
    shown, expected = shown_rows(page), expected_rows(competition, **options)
    assert [(place, rank, reached) for place, rank, _, reached in shown] == [
        (place, rank, reached) for place, rank, _, reached in expected
    ]
    scores = [score for _, _, score, _ in expected]
    assert [score for _, _, score, _ in shown] == pytest.approx(scores, abs=1e-9)


def untick(page: Page, name: str) -> None:
    page.get_by_role("checkbox", name=name, exact=True).uncheck()


def test_unticking_a_submission_ranks_the_others_again(
    page: Page, competition: Competition
) -> None:
    before = {row["place"]: row for row in page.evaluate(TABLE)}
    untick(page, "swift")
    check_rows(page, competition, excludedSubmissions=["swift"])
    n_changed = 0
    for row in page.evaluate(TABLE):
        was = before[row["place"]]["rank"]
        n_changed += row["rank"] != was
        shown = f"{row['rank']}" if row["rank"] == was else f"{row['rank']} was {was}"
        assert row["shown"] == shown
        assert row["interval"] == "–not recomputed"
    assert n_changed > 0
    n = len(before) - 1
    status = page.locator("#what-if [role=status]")
    expect(status).to_contain_text(f"{n_changed} of {n} ranks change: without swift.")
    expect(page.locator(".what-if-notice")).to_contain_text(
        "not the table as scored: without swift"
    )


def test_a_workload_its_gate_the_method_and_the_limits_score_as_in_python(
    page: Page, competition: Competition
) -> None:
    asked: dict[str, Any] = {}
    untick(page, "digits_wide")
    asked["excludedWorkloads"] = ["digits_wide"]
    check_rows(page, competition, **asked)
    untick(page, MARKUP)
    asked["excludedWorkloads"] = ["digits_wide", safe_name(MARKUP)]
    check_rows(page, competition, **asked)
    page.get_by_role("radio", name=PUBLISHED).check()
    asked["method"] = "published"
    check_rows(page, competition, **asked)
    page.get_by_role("radio", name="steps").check()
    asked["unit"] = "steps"
    check_rows(page, competition, **asked)
    page.get_by_label("Every target easier by").fill("0.02")
    asked["relaxTarget"] = 0.02
    check_rows(page, competition, **asked)
    page.get_by_label("Profiles up to τ").fill("1.5")
    asked["tauMax"] = 1.5
    check_rows(page, competition, **asked)
    expect(page.locator("#what-if [role=status]")).to_contain_text("every target 2% easier")


def test_the_gate_of_a_workload_that_is_left_out_cannot_be_ticked(page: Page) -> None:
    gate = page.get_by_role("checkbox", name="digits_wide", exact=True)
    assert gate.is_enabled()
    untick(page, "digits")
    assert gate.is_disabled()
    page.get_by_role("checkbox", name="digits", exact=True).check()
    assert gate.is_enabled()


def test_the_keyboard_moves_a_limit(page: Page, competition: Competition) -> None:
    page.get_by_label("Profiles up to τ").focus()
    page.keyboard.press("ArrowLeft")
    check_rows(page, competition, tauMax=3.9)
    assert page.evaluate("location.hash") == "#what-if&tau=3.9"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("location.hash") == "#what-if&tau=3.8"
    page.go_back()
    check_rows(page, competition)


def test_a_number_between_the_steps_of_a_slider_is_kept(
    open_page: Open, site: Path, competition: Competition
) -> None:
    page = open_page(site / "index.html", "#what-if&tau=3.14&relax=0.0123")
    untick(page, "swift")
    assert page.evaluate("location.hash") == "#what-if&tau=3.14&relax=0.0123&without=swift"
    check_rows(page, competition, tauMax=3.14, relaxTarget=0.0123, excludedSubmissions=["swift"])


def test_an_address_restores_the_view(
    open_page: Open, site: Path, page: Page, competition: Competition
) -> None:
    untick(page, "twin")
    untick(page, "digits")
    page.get_by_role("radio", name=PUBLISHED).check()
    page.get_by_label("Profiles up to τ").fill("2.5")
    hash_ = page.evaluate("location.hash")
    other = open_page(site / "index.html", hash_)
    assert hash_ == "#what-if&method=published&tau=2.5&without=twin&skip=digits"
    assert other.evaluate(TABLE) == page.evaluate(TABLE)
    assert not other.get_by_role("checkbox", name="twin", exact=True).is_checked()
    assert not other.get_by_role("checkbox", name="digits", exact=True).is_checked()
    assert other.get_by_label("Profiles up to τ").input_value() == "2.5"
    assert (
        other.locator(".what-if-notice").inner_text()
        == page.locator(".what-if-notice").inner_text()
    )
    check_rows(
        other,
        competition,
        method="published",
        tauMax=2.5,
        excludedSubmissions=["twin"],
        excludedWorkloads=["digits"],
    )


def test_the_back_button_goes_through_the_views(page: Page) -> None:
    as_made = page.evaluate(TABLE)
    untick(page, "swift")
    one = page.evaluate(TABLE)
    untick(page, "steady")
    page.go_back()
    assert page.evaluate(TABLE) == one
    assert page.get_by_role("checkbox", name="steady", exact=True).is_checked()
    page.go_back()
    assert page.evaluate(TABLE) == as_made
    page.go_forward()
    assert page.evaluate(TABLE) == one


def test_a_link_to_a_place_on_the_page_keeps_the_view(page: Page) -> None:
    untick(page, "swift")
    shown = page.evaluate(TABLE)
    page.get_by_role("link", name="Skip to the content").press("Enter")
    assert page.evaluate("location.hash") == "#main"
    assert page.evaluate(TABLE) == shown
    untick(page, "steady")
    assert page.evaluate("location.hash") == "#what-if&without=steady,swift"


@pytest.mark.parametrize("where", ["#what-if .result", ".what-if-notice"])
def test_reset_gives_back_the_page_as_it_was_made(page: Page, where: str) -> None:
    bare = "outerHTML.replace(/>\\s+</g, '><')"
    board = f"document.getElementById('leaderboard').{bare}"
    steps = f"document.getElementById('steps').{bare}"
    as_made = page.evaluate(board), page.evaluate(steps)
    untick(page, "swift")
    untick(page, "digits")
    assert page.evaluate(board) != as_made[0]
    assert page.evaluate(steps) != as_made[1]
    page.locator(where).get_by_role("button", name="Reset").click()
    expect(page.locator(".what-if-notice")).to_be_hidden()
    assert (page.evaluate(board), page.evaluate(steps)) == as_made
    assert page.evaluate("location.hash") == ""
    assert page.get_by_role("checkbox", name="swift", exact=True).is_checked()


def test_profiles_and_their_steps_follow(page: Page, competition: Competition) -> None:
    untick(page, "swift")
    runs, board = competition
    asked = {**unchanged(board), "excludedSubmissions": ["swift"]}
    n_left = len(scored_again(runs, board, asked)["profiles"])
    page.wait_for_function(
        "n => document.querySelector('#profiles .area')?.data?.length === n", arg=n_left
    )
    text = page.locator("#profiles [role=img]").get_attribute("aria-label")
    assert text is not None
    assert "steady scores" in text
    assert "swift" not in text
    steps = dict(scored_again(runs, board, asked)["steps"])["steady"]
    shown = page.locator("#steps tr", has_text="steady").locator("li").all_text_contents()
    assert shown == [f"τ {tau:.2f} {names}" for tau, names in steps]


def test_without_any_submission_it_asks_for_one(page: Page) -> None:
    for box in page.locator("input[name=submission]").all():
        box.uncheck()
    expect(page.locator("#what-if [role=status]")).to_have_text(
        "Tick at least one submission and one workload."
    )
    assert page.evaluate(TABLE) == []
    page.locator("#what-if .result").get_by_role("button", name="Reset").click()
    assert page.evaluate(TABLE) != []


# The last two are addresses of places on the page.
STRANGE = (
    "#what-if&tau=1e999&relax=-1&method=<img src=x>&unit=hours&without=__proto__,nobody&skip=,",
    "#what-if&tau=0&relax=0.06&method=__proto__",
    "#what-if&tau=&relax=NaN&without=%00%FF",
    "#what-if",
    "#profiles-title",
)


@pytest.mark.parametrize("hash_", STRANGE)
def test_a_strange_address_shows_the_page_as_it_was_made(
    open_page: Open, site: Path, page: Page, hash_: str
) -> None:
    other = open_page(site / "index.html", hash_)
    assert other.evaluate(TABLE) == page.evaluate(TABLE)
    expect(other.locator(".what-if-notice")).to_be_hidden()


def test_hostile_names_are_only_text(page: Page) -> None:
    title = page.title()
    section = page.locator("#what-if")
    for box in section.locator("label:not(.gate) input[type=checkbox]").all()[2:]:
        box.uncheck()
    assert section.locator("img, script, b, i").count() == 0
    assert MARKUP in section.inner_text()
    assert page.title() == title
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_fault_while_something_is_changed(
    open_page: Open, site: Path, scheme: Any
) -> None:
    page = open_page(site / "index.html", "#what-if&method=published&without=swift&skip=digits")
    page.emulate_media(color_scheme=scheme)
    assert serious_faults(page, "#what-if, #leaderboard-section") == []
