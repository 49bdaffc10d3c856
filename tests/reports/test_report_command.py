"""`pacebench report`: what it writes for several rules, logs, references, figures and a browser."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from pacebench.cli import serving
from pacebench.cli.main import main
from reports.leaderboard_page import fairplay_verdicts
from reports.submission_page import search_space
from scoring import RunSelection, leaderboard_records, read_runs, score_runs
from scoring.read import leaderboard_selections
from tests.reports.test_site import Page
from tests.scoring.log_trees import csv_text, to_target
from tests.scoring.run_folders import add_trial

CURVE = [(1.0, 0.2), (20.0, 0.95)]


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Two submissions under one rules version, one of them also under another and self-tuned."""
    runs = tmp_path / "runs"
    add_trial(runs, CURVE, submission="adamw")
    add_trial(runs, CURVE, submission="sgd")
    add_trial(runs, CURVE, submission="adamw", version="cabin")
    add_trial(runs, CURVE, submission="adamw", version="cabin", ruleset="self")
    return runs


def report(*words: object) -> int:
    return main(["report", *map(str, words)])


def test_every_rules_version_and_ruleset_gets_a_leaderboard_that_of_most_trials_first(
    several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(several, "--out", tmp_path / "site") == 0
    site = tmp_path / "site"
    assert capsys.readouterr().out == f"{site / 'index.html'}\n"
    folders = {"": 2, "cabin_external": 1, "cabin_self": 1}
    for folder, n in folders.items():
        page = Page(site / folder / "index.html")
        assert len([a for tag, a in page.elements if tag == "tr" and "data-submission" in a]) == n
        links = {a for a in page.addresses() if a.endswith("index.html") and "site" not in a}
        up = "../" if folder else ""
        assert {f"{up}index.html", f"{up}cabin_self/index.html"} <= links
        copies = [RunSelection(rules=folder.partition("_")[0] or "house")]
        assert len(read_runs([site / folder / "trials"], *copies).trials) == n


def test_what_is_asked_for_leaves_only_its_leaderboards(several: Path) -> None:
    def found(**asked: str) -> list[tuple[str | None, str | None]]:
        selections = leaderboard_selections([several], RunSelection(**asked))
        return [(s.rules, s.ruleset) for s in selections]

    assert found() == [("house", "external"), ("cabin", "external"), ("cabin", "self")]
    assert found(rules="cabin") == [("cabin", "external"), ("cabin", "self")]
    assert found(ruleset="external", rules="cabin") == [("cabin", "external")]
    assert found(rules="shed") == [("shed", None)]  # read_runs says what is wrong with that


def test_logs_of_algoperf_are_copied_and_score_the_same_again(tmp_path: Path) -> None:
    for name, seconds in (("one", 10.0), ("two", 20.0)):
        for study in range(5):
            folder = tmp_path / f"logs/external_tuning/{name}/study_{study}/mnist_pytorch/trial_1"
            folder.mkdir(parents=True)
            text = csv_text("mnist", to_target("mnist", seconds + study))
            (folder / "eval_measurements.csv").write_text(text)
            (folder / "hparams.json").write_text('{"lr": 0.1}')
    assert report(tmp_path / "logs", "--out", tmp_path / "site", "--reference", "two") == 0
    again = score_runs(read_runs([tmp_path / "site" / "trials"]))
    written = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    assert written == leaderboard_records(again)
    text = Page(tmp_path / "site" / "index.html").text
    # Medians are 12 and 22 s: one is 22 / 12 = 1.833 times as fast as the reference.
    assert "×1.83" in text
    assert "Speedup over two" in text


def test_mistakes_are_one_line(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report(several, "--out", "x", "--figures", "pdf,gif")
    assert "'gif' is no format of figures; give pdf or svg, or pdf,svg" in capsys.readouterr().err
    assert report(several, "--rules", "house", "--out", "x", "--reference", "adamm") == 2
    assert "did you mean 'adamw'?" in capsys.readouterr().err
    assert report(several, "--rules", "hose", "--out", "x") == 2
    assert "no trials under --rules hose" in capsys.readouterr().err


def test_figures_for_papers_are_linked(several: Path, tmp_path: Path) -> None:
    words = ("--rules", "house", "--figures", "svg")
    assert report(several, "--out", tmp_path / "site", *words) == 0
    figures = {f"figures/{p.name}" for p in (tmp_path / "site" / "figures").glob("paper-*")}
    assert len(figures) == 3 * 2
    assert figures <= set(Page(tmp_path / "site" / "index.html").addresses())


def test_serving_shows_the_folder_to_this_machine_until_ctrl_c(
    several: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serving.ThreadingHTTPServer, "serve_forever", interrupt)
    assert report(several, "--rules", "house", "--out", tmp_path / "site", "--serve") == 0
    said = capsys.readouterr().out.splitlines()
    assert opened == [said[1].split()[0]]
    assert opened[0].startswith("http://127.0.0.1:")
    with pytest.raises((HTTPError, OSError)), urlopen(opened[0], timeout=2):
        pass  # it is closed now


def test_verdicts_of_fair_play_are_shown_where_one_is_known(tmp_path: Path) -> None:
    add_trial(tmp_path / "runs", CURVE, submission="adamw")
    folder = add_trial(tmp_path / "runs", CURVE, submission="sgd")
    assert report(tmp_path / "runs", "--out", tmp_path / "site") == 0
    assert "Fair play" not in Page(tmp_path / "site" / "index.html").text
    (folder / "fairplay.json").write_text('{"level": "deny", "findings": []}')
    trials = read_runs([tmp_path / "runs"]).trials
    assert fairplay_verdicts(trials) == {"adamw": "unknown", "sgd": "denied"}
    assert report(tmp_path / "runs", "--out", tmp_path / "site") == 0
    assert "denied" in Page(tmp_path / "site" / "index.html").text
    assert "fair play" in Page(tmp_path / "site" / "submissions" / "sgd.html").text


def test_the_search_space_of_a_librarys_class_is_on_its_page(tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text('{"lr": {"min": 0.001, "max": 0.25, "scaling": "log"}}')
    words = ["--workload", "digits", "--rules", "dev", "--trials", "1", "--max-steps", "1"]
    out = tmp_path / "runs"
    assert main(["run", "torch.optim:SGD", "--space", str(space), *words, "--out", str(out)]) == 0
    assert report(out, "--out", tmp_path / "site") == 0
    pages = [path.read_text() for path in (tmp_path / "site" / "submissions").glob("*.html")]
    assert sum("0.001 to 0.25, log" in text for text in pages) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('[{"lr": 1}, {"lr": 2}]', [("points", "2 points")]),
        ('{"lr": {"feasible_points": [1, 2]}}', [("lr", "one of 1, 2")]),
        ('{"lr": {"feasible_points": 5}}', [("lr", '{"feasible_points": 5}')]),
        ("{", [("search space", "search_space.json cannot be read")]),
        ("[" * 90_000, [("search space", "search_space.json cannot be read")]),
        ('"' + "x" * 100_000 + '"', [("search space", "search_space.json is too large to show")]),
    ],
)
def test_a_search_space_is_told_in_words(
    text: str, shown: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "search_space.json").write_text(text)
    assert search_space([str(tmp_path / "no_folder"), str(tmp_path)]) == shown
