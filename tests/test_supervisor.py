"""The clocks of a real trial against its wall time, and how a run is stopped and continued."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pacebench.plugins import find_submission
from pacebench.store import RunStore
from pacebench.study import Resources, write_plan
from tests.support import draw

PACEBENCH = [sys.executable, "-P", "-m", "pacebench"]


@pytest.mark.parametrize("name", ["adamw", "nesterov_jax"])
def test_the_clocks_add_up_to_the_wall_time_that_the_supervisor_measured(
    name: str, tmp_path: Path
) -> None:
    planned = draw(find_submission(name), trials=1, max_steps=60)
    folder = write_plan(planned, tmp_path)[0]
    assert (
        subprocess.run([*PACEBENCH, "trial", str(folder)], check=False, timeout=200).returncode == 0
    )
    sections = json.loads((folder / "timing.jsonl").read_text().splitlines()[-1])
    total = sum(seconds for section, seconds in sections.items() if section != "step")
    (attempt,) = RunStore(folder).meta()["attempts"]
    assert total <= attempt["wall_seconds"]
    # What is missing is the process's own exit, after the clocks were written.
    assert attempt["wall_seconds"] - total < max(0.05, 0.005 * attempt["wall_seconds"])
    end = RunStore(folder).end()
    assert end is not None
    assert end["wall_seconds"] == pytest.approx(total, abs=0.01)


TWO_RANKS = Resources(device="cpu", n_devices=2, n_cores=2, is_compiled=False)


def test_one_ranks_death_ends_the_trial(tmp_path: Path) -> None:
    planned = draw(find_submission("adamw"), trials=1, resources=TWO_RANKS)
    folder = write_plan(planned, tmp_path)[0]
    process = subprocess.Popen([*PACEBENCH, "trial", str(folder)], stdout=subprocess.DEVNULL)
    while process.poll() is None and not RunStore(folder).rows():
        time.sleep(0.01)
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2
    max(ranks, key=lambda rank: rank.pid).kill()
    assert process.wait(60) == 1
    end = RunStore(folder).end()
    assert end is not None
    # Rank 0 may notice that its peer is gone before the supervisor does.
    assert end["reason"] in ("killed", "error")


def test_the_rank_that_fails_first_says_why(tmp_path: Path) -> None:
    plugin = tmp_path / "fails"
    plugin.mkdir()
    (plugin / "fails.py").write_text(
        "import torch\n"
        "def init(run):\n    return {}\n"
        "def step(run, state, batches):\n"
        "    if run.rank == 1 and run.step == 3: raise ValueError('rank 1 has had enough')\n"
        "    run.all_reduce(torch.ones(1))\n"
        "    return state\n"
    )
    (plugin / "submission.toml").write_text(
        "search_space = {lr = {feasible_points = [1.0]}}\n[torch]\nalgorithm = 'fails'\n"
    )
    planned = draw(find_submission(str(plugin)), trials=1, resources=TWO_RANKS)
    folder = write_plan(planned, tmp_path / "runs")[0]
    command = [*PACEBENCH, "trial", str(folder)]
    assert subprocess.run(command, check=False, timeout=100).returncode == 1
    end = RunStore(folder).end()
    assert end is not None
    assert "rank 1 has had enough" in end["message"]
    assert "rank 1 has had enough" in (folder / "rank_1_traceback.txt").read_text()


def run_command(out: Path) -> list[str]:
    limits = ["--trials", "2", "--max-steps", "40", "--rules", "dev", "--workload", "digits"]
    return [*PACEBENCH, "run", "adamw", *limits, "--clock", "steps", "--out", str(out)]


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGHUP])
def test_control_c_and_a_closed_terminal_stop_cleanly_and_the_same_command_continues(
    tmp_path: Path, signal_number: int
) -> None:
    # A shell's background jobs ignore Ctrl-C, and nohup a closed terminal, and so does what they
    # start; what is handled here starts anew in a child.
    before = signal.signal(signal_number, signal.default_int_handler)
    process = subprocess.Popen(
        run_command(tmp_path / "runs"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal_number, before)
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("runs/**/rows.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal_number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command again continues" in output
    assert "Traceback" not in output + errors
    unfinished = [
        p.parent for p in tmp_path.glob("runs/**/trial.json") if not RunStore(p.parent).end()
    ]
    assert unfinished
    again = subprocess.run(
        run_command(tmp_path / "runs"), capture_output=True, text=True, check=False, timeout=200
    )
    assert again.returncode == 0, again.stderr
    ends = [RunStore(p.parent).end() for p in tmp_path.glob("runs/**/trial.json")]
    assert [end["reason"] for end in ends if end] == ["max_steps", "max_steps"]
    third = subprocess.run(
        run_command(tmp_path / "runs"), capture_output=True, text=True, check=False, timeout=60
    )
    assert "not run again: 2" in third.stdout


SLEEPER = """
import threading
import torch

class Sleeper(torch.optim.SGD):
    steps = 0

    def step(self, closure=None):
        self.steps += 1
        if self.steps > 1:
            threading.Event().wait(90)

def make(params, hparams, run):
    return Sleeper([p.value for p in params.values()], lr=1e-3)
"""


def test_what_does_not_stop_is_killed_when_it_is_asked_twice(tmp_path: Path) -> None:
    plugin = tmp_path / "sleeper"
    plugin.mkdir()
    (plugin / "code.py").write_text(SLEEPER)
    (plugin / "submission.toml").write_text('[self_tuning]\nx = 1\n[torch]\nmake = "code:make"\n')
    out = tmp_path / "runs"
    command = [*PACEBENCH, "run", str(plugin), "--workload", "digits", "--rules", "dev"]
    command += ["--ruleset", "self", "--studies", "1", "--max-steps", "9", "--out", str(out)]
    # A shell's background jobs ignore Ctrl-C; SIGTERM does the same.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while not list(out.glob("**/timing.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)  # it is in its second step now
    process.terminate()
    time.sleep(2.0)
    assert process.poll() is None  # its step may still end, and a checkpoint be written
    process.terminate()
    asked_at = time.monotonic()
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - asked_at < 20
    assert process.returncode == 130
    assert "stopping after the running steps" in errors
    assert "stopping at once" in errors
    assert "1 of 1 running trials had no checkpoint yet and start anew" in output
    assert "Traceback" not in output + errors
    [folder] = (path.parent for path in out.glob("**/trial.json"))
    assert RunStore(folder).end() is None


def test_another_plan_in_the_same_folder_is_refused_by_its_first_difference(tmp_path: Path) -> None:
    write_plan(draw(find_submission("adamw"), trials=1, max_steps=5), tmp_path)
    limits = ["--trials", "1", "--max-steps", "6", "--rules", "dev", "--workload", "digits"]
    done = subprocess.run(
        [
            *PACEBENCH,
            "run",
            "adamw",
            *limits,
            "--jobs",
            str(len(os.sched_getaffinity(0))),
            "--out",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "was made by another plan" in done.stderr
    assert done.stderr.count("\n") == 1
