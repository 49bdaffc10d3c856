"""`pacebench new` writes what `pacebench check` passes; what is hostile gets one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pacebench.plugins import read_folder
from tests.cli.conftest import Call

TOML = """\
authors = ["A. Author"]
description = "A description."
[search_space]
rate = { min = 0.01, max = 0.1, scaling = "log" }
[torch]
"""
MAKE = TOML + 'make = "code:make"\n'
ALGORITHM = TOML + 'algorithm = "code"\n'
LEVEL_2 = """\
import os, sys, time, torch
from pacebench.spec import Finished
N_CALLS = 0
def init(run):
    return torch.optim.SGD(run.params.values(), lr=0.1)
def step(run, optimizer, batches):
    global N_CALLS
    N_CALLS += 1
    batch = next(batches)
    optimizer.zero_grad()
    loss = run.loss(run.forward(batch), batch)
    (loss.summed / loss.n_valid_examples).backward()
    {line}
    optimizer.step()
    return optimizer
"""


def write(folder: Path, code: str, toml: str) -> Path:
    folder.mkdir()
    (folder / "code.py").write_text(code)
    (folder / "submission.toml").write_text(toml)
    return folder


def findings(call: Call, *words: object) -> tuple[int, dict[str, tuple[str, str]]]:
    """Check on digits; gives the exit code, and (status, message) by check."""
    said = call("check", *words, "--workload", "digits", "--json")
    assert "Traceback" not in said.out + said.err
    checks = json.loads(said.out)["checks"]
    return said.code, {c["check"]: (c["status"], c["message"]) for c in checks}


@pytest.mark.parametrize(
    ("level", "framework"),
    [
        (1, "torch"),
        (2, "jax"),
        # The same two again, crossed, for a run by hand: each takes ten seconds.
        pytest.param(1, "jax", marks=pytest.mark.full),
        pytest.param(2, "torch", marks=pytest.mark.full),
    ],
)
def test_a_new_plugin_passes_the_check(framework: str, level: int, call: Call) -> None:
    pytest.importorskip(framework)
    said = call("new", "mine", "--framework", framework, "--level", level)
    assert said.code == 0
    assert said.out.splitlines()[-2:] == [
        "  pacebench check ./mine",
        "  pacebench run ./mine --workload digits --rules dev",
    ]
    code, found = findings(call, "mine")
    assert code == 0
    assert found["search space"][0] == "ok"
    assert found["mine on digits: 3 steps"][0] == "ok"
    assert found["mine on digits: resume"][0] == "ok"
    assert found["metadata"] == ("warning", "no authors; a leaderboard shows them, so add them")


def test_a_new_plugin_runs(call: Call) -> None:
    assert call("new", "mine").code == 0
    small = ("--rules", "dev", "--trials", 1, "--max-steps", 3)
    ran = call("run", "mine", "--workload", "digits", *small, "--out", "runs")
    assert ran.code == 0
    assert "mine digits study 0 trial 1: max_steps at step 3" in ran.out


def test_new_does_not_overwrite(call: Call, tmp_path: Path) -> None:
    assert call("new", "mine", "--out", "plugins").code == 0
    (tmp_path / "plugins/mine/optimizer.py").write_text("# mine\n")
    said = call("new", "mine", "--out", "plugins", "--level", 2)
    assert said.code == 2
    assert "plugins/mine exists and is not overwritten" in said.err
    assert (tmp_path / "plugins/mine/optimizer.py").read_text() == "# mine\n"
    assert not (tmp_path / "plugins/mine/algorithm.py").exists()


def test_a_name_that_cannot_be_leaves_nothing_behind(call: Call, tmp_path: Path) -> None:
    said = call("new", "two words")
    assert said.code == 2
    assert "use at most 80 letters, digits" in said.err
    assert not (tmp_path / "two words").exists()


def test_a_plugin_takes_its_name_from_its_folder(call: Call, tmp_path: Path) -> None:
    call("new", "first")
    (tmp_path / "first").rename(tmp_path / "second")
    assert read_folder(tmp_path / "second")[0].name == "second"


@pytest.mark.parametrize(
    ("code", "toml", "line"),
    [
        ("raise ValueError('at import')", MAKE, "error: ValueError: at import"),
        ("def make(:", MAKE, "SyntaxError"),
        ("def make(parameters, hparams, run): return 3", MAKE, "returned int; a level-1 torch"),
        ("def made(): pass", MAKE, "there is no 'make' in code.py"),
        ("def make(p, h, r): return h.learning_rate", MAKE, "unknown hyperparameter"),
        (LEVEL_2.format(line="sys.exit(0)"), ALGORITHM, "error in step 1: SystemExit: 0"),
        (LEVEL_2.format(line="os._exit(0)"), ALGORITHM, "a rank left with exit code [0]"),
        (LEVEL_2.format(line="batch['none']"), ALGORITHM, "error in step 1: KeyError: 'none'"),
        (
            LEVEL_2.format(line="[p.data.fill_(torch.nan) for p in run.params.values()]"),
            ALGORITHM,
            "not finite after step 3: test/loss, train/loss, validation/loss",
        ),
    ],
)
def test_a_hostile_plugin_gets_one_clear_line(
    code: str, toml: str, line: str, call: Call, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    write(tmp_path / "bad", code, toml)
    exit_code, found = findings(call, "bad")
    assert exit_code == 1
    status, message = found["bad on digits: 3 steps"]
    assert status == "FAIL"
    assert line in message
    assert len(message.splitlines()) == 1
    if "all of it: " in message:
        path = Path(message.partition("all of it: ")[2])
        assert "Traceback" in path.read_text() or "error" in path.read_text()


def test_a_step_that_hangs_is_ended(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write(tmp_path / "slow", LEVEL_2.format(line="time.sleep(1000)"), ALGORITHM)
    exit_code, found = findings(call, "slow", "--wall-limit", 4)
    assert exit_code == 1
    assert "no end within 4 s" in found["slow on digits: 3 steps"][1]


def test_state_outside_of_the_state_fails_the_resume(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    line = "optimizer.param_groups[0]['lr'] = 0.1 * N_CALLS"
    write(tmp_path / "hidden", LEVEL_2.format(line=line), ALGORITHM)
    exit_code, found = findings(call, "hidden")
    assert exit_code == 1
    status, message = found["hidden on digits: resume"]
    assert status == "FAIL"
    assert "differs from an uninterrupted one at step 5" in message
    assert "state outside of what init and step return" in message


def test_a_state_that_cannot_be_saved_is_a_warning(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = LEVEL_2.format(line="pass").replace("return optimizer", "return MyState(optimizer)")
    code = code.replace(
        "def init", "class MyState:\n    def __init__(self, o): self.o = o\ndef init"
    )
    code = code.replace("return torch.optim", "return MyState(torch.optim").replace(
        "lr=0.1)", "lr=0.1))"
    )
    code = code.replace("    global", "    optimizer = optimizer.o\n    global")
    write(tmp_path / "own", code, ALGORITHM)
    exit_code, found = findings(call, "own")
    assert exit_code == 0
    status, message = found["own on digits: resume"]
    assert status == "warning"
    assert "not resumable" in message
    assert "save(run, state) and restore" in message


@pytest.mark.parametrize(
    ("toml", "check", "line"),
    [
        ("authors = 3\n[torch]\nmake = 'code:make'", "found", "authors must be a list of texts"),
        ("[torch", "found", "is not valid TOML"),
        ("batchsize = 3\n[torch]\nmake = 'code:make'", "found", "did you mean 'batch_size'?"),
        ("[torch]\nmake = 'code:make'", "search space", "neither a [search_space] nor"),
        (
            "[search_space]\nrate = {min = 1, max = 0, scaling = 'log'}\n[torch]\nmake = 'a:b'",
            "search space",
            "min 1.0 is not below max 0.0",
        ),
    ],
)
def test_wrong_metadata_is_found_before_anything_runs(
    toml: str, check: str, line: str, call: Call, tmp_path: Path
) -> None:
    write(tmp_path / "bad", "", toml)
    exit_code, found = findings(call, "bad")
    assert exit_code == 1
    assert found[check][0] == "FAIL"
    assert line in found[check][1]
    assert not any("steps" in name for name in found)


def test_what_is_odd_but_runs_is_a_warning(call: Call, tmp_path: Path) -> None:
    toml = MAKE.replace("[torch]", "[self_tuning]\nrte = 0.1\n[batch_size]\ndigts = 8\n[torch]")
    write(tmp_path / "odd", "", toml)
    said = call("check", "odd", "--workload", "mnist", "--data-dir", tmp_path)
    lines = said.out.splitlines()
    assert (
        "warning metadata: batch_size: unknown workload 'digts'; did you mean 'digits'?" in said.out
    )
    assert "[self_tuning] and [search_space] differ in rate, rte" in said.out
    assert any(line.startswith("skipped odd on mnist: ") for line in lines)
    assert "0 failed, 2 warnings, 1 skipped" in said.out
    assert said.code == 0


def test_a_workload_of_another_suite_is_checked_under_rules_that_know_it(
    call: Call, tmp_path: Path
) -> None:
    said = call("check", "adamw", "--workload", "wmt_mini", "--data-dir", tmp_path)
    assert "skipped adamw on wmt_mini: " in said.out  # for want of data, not of rules
    assert said.code == 0
