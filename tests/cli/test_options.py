"""The command line as a whole: its options, its errors, and what it does not import."""

from __future__ import annotations

import argparse
import doctest
import subprocess
import sys

import pytest

import pacebench.algoperf_logs
import pacebench.cli.tables
from pacebench.cli.main import build_parser
from tests.cli.conftest import Call

# Written by hand: adding an option is a decision that this table makes visible.
SELECTION = ["runs", "--rules", "--ruleset", "--method", "--allow-mixed-hardware"]
OPTIONS = {
    "list": ["what", "--json"],
    "run": [
        "submissions",
        *("--workload", "--suite", "--rules", "--ruleset", "--space", "--seed"),
        *("--out", "--data-dir", "--jobs", "--device", "--devices", "--compile", "--clock"),
        *("--checkpoint-period", "--wall-limit", "--schedule"),
        *("--studies", "--trials", "--budget-scale", "--max-steps", "--allow-partial-data"),
        "--plan-only",
    ],
    "status": ["runs", "--json"],
    "score": [
        *SELECTION,
        *("--strict", "--explain", "--how-sure", "--reference"),
        *("--csv", "--table", "--latex", "--json"),
    ],
    "report": [*SELECTION, "--out", "--reference", "--figures", "--serve"],
    "new": ["name", "--framework", "--level", "--out"],
    "check": ["plugin", "--workload", "--data-dir", "--device", "--wall-limit", "--json"],
    "data": ["action", "workload", "--data-dir", "--raw", "--download", "--json"],
    "doctor": ["--data-dir", "--json"],
    "calibrate-machine": ["--workload", "--steps", "--jobs", "--device", "--data-dir", "--json"],
    "export": ["runs", "--out", "--json"],
    "import": ["logs", "--out", "--rules", "--json"],
    "trial": ["folder", "--cores", "--gpus"],
}


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(choices)


def test_adding_a_command_is_a_visible_decision() -> None:
    assert list(commands()) == list(OPTIONS)


@pytest.mark.parametrize("command", OPTIONS)
def test_adding_an_option_is_a_visible_decision(command: str) -> None:
    actions = commands()[command]._actions
    names = [a.option_strings[-1] if a.option_strings else a.dest for a in actions]
    assert names == ["--help", *OPTIONS[command]]


@pytest.mark.parametrize("command", OPTIONS)
def test_every_command_teaches_itself(command: str, call: Call) -> None:
    said = call(command, "--help")
    assert said.code == 0
    assert f"usage: pacebench {command}" in said.out
    shows_a_call = f"pacebench {command}" in (commands()[command].description or "")
    assert shows_a_call or command == "trial"  # trials are started by `run`


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pacebench.cli.main import build_parser; build_parser().format_help(); "
        "print(*{'numpy', 'pandas', 'torch', 'jax', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("lst", "did you mean 'list'?"),
        ("calibrate-machin", "did you mean 'calibrate-machine'?"),
        ("list workload", "did you mean 'workloads'?"),
        ("list --jsn", "did you mean '--json'?"),
        ("status nowhere", "no folder nowhere"),
        ("status .", "no trials in ."),
        ("new ../x", "'../x' is a path; give a name, and the folder with --out"),
        ("new a/b", "'a/b' is a path"),
        ("new adamw", "there is a submission 'adamw' already"),
        ("new -- -x", "the name '-x' cannot be a submission's"),
        ("new x --framework tensorflow", "invalid choice: 'tensorflow'"),
        ("new x --level 3", "invalid choice: 3"),
        ("check adamw --workload digit", "unknown workload 'digit'; did you mean 'digits'?"),
        ("check adamw --wall-limit 0", "--wall-limit must be more than 0, not 0.0"),
        ("calibrate-machine --steps 0", "--steps must be more than 0, not 0"),
        ("calibrate-machine --jobs 999", "--jobs 999 is more than the"),
        ("calibrate-machine --workload mnist", "unknown workload with a budget to measure 'mnist'"),
        ("run adamw --workload digits --budget-scale fast", "'fast' is neither a number nor auto"),
        ("run adamw --workload digits --budget-scale auto", "first: pacebench calibrate-machine"),
        ("run adamw --workload digits --budget-scale -1", "--budget-scale must be more than 0"),
        ("export nowhere --out x", "no folder nowhere"),
        ("export .", "the following arguments are required: --out"),
        ("import nowhere --out x", "no AlgoPerf logs in nowhere"),
        ("import . --out x", "nowhere below is a <submission>/study_<k>"),
        ("import . --out x --rules algoperf-0.7", "did you mean 'algoperf-0.6'?"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words: str, line: str, call: Call) -> None:
    said = call(*words.split())
    assert said.code == 2
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_examples_in_docstrings_hold() -> None:
    for module in (pacebench.cli.tables, pacebench.algoperf_logs):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0
