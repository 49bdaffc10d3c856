"""`pacebench score`: what it prints."""

from __future__ import annotations

import argparse
import doctest
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import scoring.text
import scoring.time_to_target
from pacebench.cli import score_command
from pacebench.errors import LogsError
from tests.scoring.run_folders import Left, add_trial


def score(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    score_command.add_arguments(parser)
    return score_command.run(parser.parse_args(argv))


@pytest.fixture
def runs(tmp_path: Path) -> str:
    folder = tmp_path / "runs"
    deviations = ("1 of 5 studies",)
    add_trial(folder, [(1.0, 0.2), (20.0, 0.95)], submission="slow", deviations=deviations)
    add_trial(folder, [(1.0, 0.2), (10.0, 0.95)], submission="fast", deviations=deviations)
    add_trial(folder, [(1.0, 0.2)], Left(reason="budget"), submission="never")
    return str(folder)


def test_the_tables_are_aligned_and_followed_by_notes_dirt_and_how_sure_it_is(
    runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(runs) == 0
    # slow: 20 s is twice the best, (4 - 2) / 3 = 0.6667
    assert capsys.readouterr().out.splitlines() == [
        "rules house, external tuning, exact scores over 1 workload, 1 study",
        "",
        "rank  submission   score  95% interval  ranks  band  reached",
        "   1  fast        1.0000  ?             ?      A         1/1",
        "   2  slow        0.6667  ?             ?      A         1/1",
        "   3  never       0.0000  ?             ?      A         0/1",
        "",
        "time to target in seconds, median over the studies",
        "submission  digits",
        "fast            10",
        "slow            20",
        "never       missed",
        "",
        "note: not a full score: 1 of 5 studies (holds for 2 of 3 trials)",
        "how sure: one study says nothing about chance; run more (--studies 3)",
    ]


def test_the_table_alone_and_as_latex(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(runs, "--table") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert score(runs, "--latex") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"\begin{tabular}{rlrccr}"
    assert r"1 & fast & 1.0000 & ? & ? & 1/1 \\" in lines


def test_strict_lists_what_is_wrong_and_refuses_it(
    runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(runs, "--strict", "--table") == 0
    add_trial(Path(runs), [(1.0, 0.2)], submission="fast", workload="cifar", n_studies=2)
    with pytest.raises(LogsError, match="--strict: 3 things are not as they should be"):
        score(runs, "--strict")
    assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()[-3:]] == [
        "missing studies",
        "no trial",
        "no trial",
    ]


def test_json_is_strict_and_complete(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(runs, "--json") == 0

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert [(r["submission"], r["rank"]) for r in document["leaderboard"]] == [
        ("fast", 1),
        ("slow", 2),
        ("never", 3),
    ]
    assert document["notes"] == ["not a full score: 1 of 5 studies (holds for 2 of 3 trials)"]
    assert (document["unit"], document["rules"]) == ("seconds", "house")


def test_csv_goes_to_a_file_beside_the_table_or_alone_to_the_screen(
    runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(runs, "--csv", str(tmp_path / "board.csv")) == 0
    assert "note:" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "board.csv")
    assert table["submission"].tolist() == ["fast", "slow", "never"]
    assert table["time/digits"].tolist() == [10.0, 20.0, float("inf")]
    assert score(runs, "--csv", "-") == 0
    assert capsys.readouterr().out == (tmp_path / "board.csv").read_text()


def test_json_and_csv_do_not_share_the_screen(runs: str) -> None:
    with pytest.raises(LogsError, match="writes to the screen alone"):
        score(runs, "--json", "--csv", "-")


def test_a_name_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_trial(tmp_path, [(1.0, 0.95)], submission="\x1b[31mred\nrank")
    score(str(tmp_path))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\ufffd[31mred\ufffdrank" in out


def test_the_command_imports_nothing_heavy_before_it_runs() -> None:
    code = (
        "import sys; from pacebench.cli import score_command, report_command; "
        "print({'pandas', 'numpy', 'matplotlib', 'jinja2', 'torch', 'jax'} & {*sys.modules})"
    )
    root = Path(score_command.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "set()"


def test_scoring_and_reports_import_no_framework() -> None:
    code = (
        "import sys, scoring, reports.site; "
        "print({'torch', 'jax', 'flax', 'optax'} & {*sys.modules})"
    )
    root = Path(score_command.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("module", [scoring.text, scoring.time_to_target])
def test_the_examples_in_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
