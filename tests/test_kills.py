"""Whatever moment a process is killed at, the trial goes on and ends with the same bytes."""

from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pacebench.plugins import find_submission
from pacebench.rows import Reason
from pacebench.store import RunStore
from pacebench.study import write_plan
from pacebench.trial import Progress, resume, run_trial
from tests.support import PLAN, REPOSITORY, FakeBackend, FakeTime, draw, fake_trial, with_rules

COMPARED = ("rows.jsonl", "checkpoint/state.npz")


def run_child(folder: Path, n: int) -> int:
    command = [sys.executable, "-m", "tests.killed_child", str(folder), str(n)]
    return subprocess.run(command, cwd=REPOSITORY, check=False, timeout=120).returncode


def test_20_kills_inside_writes_lose_nothing(tmp_path: Path) -> None:
    """Each attempt dies inside a write (a row, its sync, a checkpoint …) and the next resumes."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_child(whole, 0) == 0
    moments = random.Random(0)
    n_kills = 0
    for attempt in range(20):
        # The first two die inside the first row and inside the first checkpoint
        n = (1, 5, *(moments.randint(1, 40) for _ in range(18)))[attempt]
        code = run_child(killed, n)
        assert code in (0, -signal.SIGKILL)
        n_kills += code != 0
        if code == 0:
            break
    assert n_kills >= 10
    assert run_child(killed, 0) == 0
    for name in COMPARED:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "pacebench", "trial", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True)
    for victim in (*children, psutil.Process(process.pid)):
        victim.kill()
    psutil.wait_procs(children, timeout=10)
    process.wait()


@pytest.fixture(scope="module")
def long_plan() -> list:
    return draw(
        find_submission("adamw"),
        trials=1,
        clock="steps",
        max_steps=80,
        checkpoint_period_seconds=0.0,
    )


@pytest.fixture(scope="module")
def whole(long_plan: list, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trial's folder after it ran to its end undisturbed."""
    folder = write_plan(long_plan, tmp_path_factory.mktemp("whole"))[0]
    assert start(folder).wait(120) == 0
    return folder


def test_a_real_trial_killed_with_its_supervisor_ends_with_the_same_bytes(
    tmp_path: Path, long_plan: list, whole: Path
) -> None:
    killed = write_plan(long_plan, tmp_path / "killed")[0]
    moments = random.Random(1)
    for _ in range(4):
        process = start(killed)
        deadline = time.monotonic() + moments.uniform(0.5, 3.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is None:
            kill_tree(process)
    assert start(killed).wait(120) == 0
    for name in COMPARED:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert RunStore(killed).end() == RunStore(whole).end()


def test_a_trial_that_is_asked_to_stop_writes_a_checkpoint_and_goes_on_later(
    tmp_path: Path, long_plan: list, whole: Path
) -> None:
    stopped = write_plan(long_plan, tmp_path / "stopped")[0]
    process = start(stopped)
    while process.poll() is None and not RunStore(stopped).rows():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) == 130
    assert RunStore(stopped).end() is None
    assert (stopped / "checkpoint/state.npz").exists()
    assert start(stopped).wait(120) == 0
    for name in COMPARED:
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("step", [1, 2, 11, 200])
def test_a_trial_stopped_at_any_step_makes_the_evaluation_that_was_due_there(
    tmp_path: Path, step: int
) -> None:
    """Step 1, 11 and 200 end in evaluations, 2 does not; the last one ends the trial, too."""
    plan = dataclasses.replace(with_rules(PLAN, max_steps=200), clock="steps")
    plan = with_rules(plan, budget_seconds=1e9)
    whole = fake_trial(plan, FakeBackend(time=FakeTime()), tmp_path / "whole")
    assert run_trial(whole, Progress()) is Reason.MAX_STEPS
    first = fake_trial(plan, FakeBackend(time=FakeTime()), tmp_path / "halves")
    stops = iter([False] * (step - 1) + [True])
    stopped = dataclasses.replace(first, is_interrupted=lambda: next(stops))
    assert run_trial(stopped, Progress()) is None
    second = fake_trial(plan, FakeBackend(time=FakeTime()), tmp_path / "halves")
    progress = resume(second, second.store.load_checkpoint())
    assert progress.step == step
    assert run_trial(second, progress) is Reason.MAX_STEPS
    for name in COMPARED:
        ours = (second.store.folder / name).read_bytes()
        assert ours == (whole.store.folder / name).read_bytes()


def test_a_killed_worker_is_a_result_with_a_reason(tmp_path: Path, long_plan: list) -> None:
    folder = write_plan(long_plan, tmp_path / "runs")[0]
    process = start(folder)
    while not (folder / "rows.jsonl").exists():
        time.sleep(0.01)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    assert process.wait(60) == 1
    end = RunStore(folder).end()
    assert end is not None
    assert end["reason"] == "killed"
    assert "SIGKILL" in end["message"]
