"""The website: what it shows, what it links, and what a hostile submission cannot do to it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from pacebench.cli import report_command
from pacebench.errors import StoreError
from reports.results import results_of
from reports.site import write_site
from scoring import RunSelection, leaderboard_records, read_runs, score_runs
from tests.scoring.run_folders import Left, add_trial, evaluation, plan, write_trial

SCRIPT = "<script>alert(1)</script>"
CURVE = [(1.0, 0.2), (10.0, 0.6), (20.0, 0.95)]
# Elements that have no closing tag in HTML.
VOID = {"meta", "link", "img", "br", "input", "wbr"}


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def addresses(self) -> list[str]:
        return [a[k] or "" for _, a in self.elements for k in ("href", "src") if k in a]


def make_site(runs: Path, out: Path, **selection: Any) -> Path:
    read = read_runs([runs], RunSelection(**selection))
    return write_site([results_of(read, score_runs(read))], out)


def pages(site: Path) -> Iterator[tuple[Path, Page]]:
    for path in sorted(site.rglob("*.html")):
        yield path, Page(path)


def contents(site: Path) -> dict[str, bytes]:
    files = (path for path in site.rglob("*") if path.is_file())
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two submissions on two workloads, one miss, one crash, one trial that has not started."""
    folder = tmp_path / "runs"
    for workload in ("digits", "cifar"):
        add_trial(folder, CURVE, submission="adamw", workload=workload, n_trials=2)
    crash = Left(reason="error", message=f"Traceback: {SCRIPT}")
    add_trial(folder, CURVE[:2], crash, submission="sgd", workload="digits")
    idle = Left(reason=None, hardware_class=None)
    add_trial(folder, [], idle, submission="sgd", workload="cifar", deviations=("1 of 5 studies",))
    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Submissions whose every text tries to break out of the page or of the folder."""
    folder = tmp_path / "hostile"
    for i, name in enumerate(
        (SCRIPT, "../../x", '" onload="alert(1)', "$x_2$ {{ 7*7 }} _a", "\x00\x1b\ud800")
    ):
        trial_plan = plan(
            submission=name,
            workload=f"<img src=x onerror=alert(1)>{i % 2}",
            metric="<i>m</i>",
            authors=(SCRIPT,),
            description=SCRIPT,
            hyperparameters={SCRIPT: SCRIPT},
            deviations=(SCRIPT,),
            version="../<b>",
        )
        left = Left(reason="<b>odd</b>", message=f"</pre>{SCRIPT}", hardware_class=SCRIPT)
        write_trial(folder / f"trial_{i}", trial_plan, [], left)
    return folder


def test_every_link_and_image_of_every_page_exists(runs: Path, tmp_path: Path) -> None:
    site = make_site(runs, tmp_path / "site").parent
    n_links = 0
    for path, page in pages(site):
        ids = {a["id"] for _, a in page.elements if "id" in a}
        for address in page.addresses():
            if address.startswith("data:"):
                continue
            assert "://" not in address
            target, _, fragment = unquote(address).partition("#")
            assert not target or (path.parent / target).is_file(), address
            assert target or fragment in ids, address
            n_links += 1
    assert n_links > 30


def test_pages_are_well_formed_and_accessible(runs: Path, tmp_path: Path) -> None:
    site = make_site(runs, tmp_path / "site").parent
    for path, page in pages(site):
        assert page.open == [], path
        assert ("html", {"lang": "en"}) in page.elements
        headings = [int(tag[1]) for tag in page.tags() if tag in {"h1", "h2", "h3"}]
        assert headings[0] == 1
        assert headings.count(1) == 1
        steps = [b - a for a, b in pairwise(headings)]
        assert max(steps) <= 1, "a heading level is skipped"
        assert not any("aria-pressed" in a for _, a in page.elements), "a state that never changes"
        assert all(a.get("alt") for tag, a in page.elements if tag == "img")
        assert all(a.get("scope") in {"row", "col"} for tag, a in page.elements if tag == "th")
        ids = [a["id"] for _, a in page.elements if "id" in a]
        assert len(ids) == len(set(ids))


def test_the_first_page_shows_scores_notes_and_environment(runs: Path, tmp_path: Path) -> None:
    first = make_site(runs, tmp_path / "site")
    text = Page(first).text
    assert "1.0000" in text
    assert "not a full score: 1 of 5 studies (holds for 1 of 4 trials)" in text
    assert "sgd: 1 trial is unfinished (cifar: 1), 1 of them before a first evaluation" in text
    about = Page(first.parent / "submissions" / "adamw.html").text
    assert "hardware_class" in about
    assert "cpu-2" in about


def test_a_workload_page_shows_how_trials_ended_and_their_hyperparameters(
    runs: Path, tmp_path: Path
) -> None:
    site = make_site(runs, tmp_path / "site").parent
    page = Page(site / "workloads" / "digits.html")
    for shown in ("error", f"Traceback: {SCRIPT}", "learning_rate", "0.001", "missed"):
        assert shown in page.text
    assert "unfinished" in Page(site / "workloads" / "cifar.html").text


def test_mixed_hardware_is_shown(runs: Path, tmp_path: Path) -> None:
    add_trial(runs, CURVE, Left(hardware_class="gpu-h200"), submission="lion")
    first = make_site(runs, tmp_path / "site", is_mixed_hardware_allowed=True)
    assert "mixed hardware, so times do not compare" in Page(first).text
    assert "score trials --rules house --allow-mixed-hardware in its" in Page(first).text


def test_the_copies_score_the_same_again(runs: Path, tmp_path: Path) -> None:
    site = make_site(runs, tmp_path / "site").parent
    board = score_runs(read_runs([site / "trials"]))
    assert leaderboard_records(board) == json.loads((site / "leaderboard.json").read_text())


def test_links_pipes_and_folders_in_a_trial_are_not_copied(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    one, two, three = sorted(path.parent for path in runs.rglob("end.json"))
    (one / "hparams.json").symlink_to(tmp_path / "secret")
    (one / "search_space.json").symlink_to(tmp_path / "secret")
    os.mkfifo(two / "hparams.json")
    (three / "hparams.json").mkdir()
    site = make_site(runs, tmp_path / "site").parent
    assert not list(site.rglob("hparams.json"))
    assert "search_space.json" not in "".join(page.text for _, page in pages(site))


def test_the_same_runs_give_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    one = contents(make_site(runs, tmp_path / "one").parent)
    runs.rename(tmp_path / "moved")
    other = contents(make_site(tmp_path / "moved", tmp_path / "other").parent)
    assert one == other


def test_nothing_of_a_hostile_submission_becomes_markup(hostile: Path, tmp_path: Path) -> None:
    site = make_site(hostile, tmp_path / "site").parent
    for path, page in pages(site):
        assert page.open == [], path
        assert not {"i", "b"} & set(page.tags()), path
        scripts = [a for tag, a in page.elements if tag == "script"]
        assert all(
            a["src"].startswith(("static/", "../static/", "data/", "../data/")) for a in scripts
        )
        names = {name for _, attributes in page.elements for name in attributes}
        assert not {name for name in names if name.startswith("on")}, path
        assert all(a["src"] != "x" for tag, a in page.elements if tag == "img")
    first = Page(site / "index.html").text
    assert SCRIPT in first
    assert "{{ 7*7 }}" in first
    for file in (*site.rglob("*.svg"), *site.rglob("*.html"), *site.glob("data/*.js")):
        text = file.read_text(encoding="utf-8")
        assert "<script>" not in text
        assert not {"\x00", "\x1b"} & set(text)


def test_the_command_in_the_footer_cannot_be_made_another(tmp_path: Path) -> None:
    add_trial(tmp_path / "runs", CURVE, version="v; curl -s x | sh")
    site = make_site(tmp_path / "runs", tmp_path / "site")
    command = "pacebench score trials --rules 'v; curl -s x | sh' in its folder"
    assert command in Page(site).text


def test_a_very_long_name_is_cut_wherever_it_is_one_of_many(tmp_path: Path) -> None:
    long = "n" * 10_000
    for i, name in enumerate(("swift", "twin", long)):
        for workload in ("digits", "cifar"):
            seconds = 20.0 + i + (5 * i if workload == "cifar" else 0)
            curve = [(1.0, 0.2), (seconds, 0.95)]
            trial_plan = plan(submission=name, workload=workload, authors=(long,), description=long)
            rows = [evaluation(int(10 * t), t, value) for t, value in curve]
            write_trial(tmp_path / "runs" / f"{i}{workload}", trial_plan, rows)
    site = make_site(tmp_path / "runs", tmp_path / "site").parent
    for path, page in pages(site):
        # The longest is the description on a submission's own page.
        most = 20_000 if path.parent.name == "submissions" and path.stem != "index" else 700
        assert "n" * (most + 1) not in page.text, path


def test_hostile_names_stay_inside_the_folder(hostile: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    site = make_site(hostile, tmp_path / "site").parent
    after = [path for path in sorted(tmp_path.rglob("*")) if site not in (path, *path.parents)]
    assert after == before
    assert len(list(site.rglob("trial.json"))) == 5
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    for path in site.rglob("*"):
        assert set(path.name) <= allowed


def test_under_a_clock_of_steps_curves_are_drawn_once(tmp_path: Path) -> None:
    add_trial(tmp_path / "runs", [(1, 0.1), (500, 0.95)], clock="steps")
    site = make_site(tmp_path / "runs", tmp_path / "site").parent
    assert sorted(p.name for p in (site / "figures").iterdir()) == [
        "digits-time.svg",
        "profile.svg",
    ]
    assert "submission time (steps)" in (site / "figures" / "digits-time.svg").read_text()


def test_a_site_replaces_an_earlier_one_and_leaves_nothing_behind(
    runs: Path, tmp_path: Path
) -> None:
    add_trial(runs, CURVE, submission="old", workload="old")
    out = tmp_path / "site"
    make_site(runs, out)
    assert (out / "workloads" / "old.html").exists()
    add_trial(tmp_path / "other", CURVE)
    make_site(tmp_path / "other", out)
    assert not (out / "workloads" / "old.html").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "runs", "site"]


def test_an_empty_folder_becomes_a_site(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert make_site(runs, tmp_path / "site").is_file()


def test_a_folder_of_someone_else_is_refused_and_left_alone(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="is no website of ours"):
        make_site(runs, out)
    assert contents(out) == {"thesis.txt": b"years of work"}
    with pytest.raises(StoreError, match="is no website of ours"):
        make_site(runs, runs)
    with pytest.raises(StoreError, match="is a file"):
        make_site(runs, out / "thesis.txt")


def test_a_strange_file_in_a_site_of_ours_is_not_deleted(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    make_site(runs, out)
    (out / "CNAME").write_text("example.org")
    with pytest.raises(StoreError, match="holds CNAME, which is not part of the website"):
        make_site(runs, out)
    assert (out / "CNAME").read_text() == "example.org"


def test_a_failure_while_writing_keeps_the_old_site(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    make_site(runs, out)
    before = contents(out)
    read = read_runs([runs])

    def vanish(*_: object) -> None:
        raise FileNotFoundError("a log that was deleted after it was listed")

    monkeypatch.setattr("reports.folder.shutil.copyfile", vanish)
    with pytest.raises(FileNotFoundError):
        write_site([results_of(read, score_runs(read))], out)
    monkeypatch.undo()
    assert contents(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs", "site"]


def test_the_command_prints_the_first_page(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    args = parser.parse_args([str(runs), "--out", str(tmp_path / "site")])
    assert report_command.run(args) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "site" / "index.html")
