"""`pacebench status`: how far the trials of a folder are."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from pacebench.plan import TrialPlan
from pacebench.rows import EvalRow, Reason
from pacebench.store import RunStore, create_trial
from tests.cli.conftest import Call
from tests.support import PLAN


def planned(runs: Path, trial: int) -> RunStore:
    plan: TrialPlan = dataclasses.replace(PLAN, trial=trial, n_trials=4)
    folder = runs / plan.folder()
    create_trial(folder, plan.to_json())
    return RunStore(folder)


def row(step: int, accuracy: float) -> EvalRow:
    return EvalRow(step=step, seconds=step / 10, metrics={"validation/accuracy": accuracy})


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four trials: one at the target, one failed, one running, one waiting."""
    folder = tmp_path / "runs"
    ended = planned(folder, 1)
    ended.append_row(row(1, 0.1))
    ended.append_row(row(30, 0.75))
    ended.write_end(Reason.TARGET, step=30)
    planned(folder, 2).write_end(Reason.ERROR, step=0, message="ValueError: no")
    running = planned(folder, 3)
    running.append_row(row(1, 0.5))
    running.append_row(row(20, math.nan))
    planned(folder, 4)
    return folder


def test_ended_running_and_waiting_trials_are_counted(runs: Path, call: Call) -> None:
    running = RunStore(runs / dataclasses.replace(PLAN, trial=3).folder())
    running.acquire_lock()
    document = json.loads(call("status", runs, "--json").out)
    (group,) = document["groups"]
    assert group["ended"] == {"error": 1, "target": 1}
    assert (group["running"], group["waiting"], group["trials"]) == (1, 1, 4)
    assert group["best"] == 0.75  # NaN is no best
    assert [t["state"] for t in document["trials"]] == ["target", "error", "running", "waiting"]
    assert document["trials"][0]["last"] == 0.75
    assert document["trials"][0]["seconds"] == 3.0
    assert document["trials"][1]["message"] == "ValueError: no"
    assert document["trials"][2]["last"] is None  # NaN in strict JSON


def test_waiting_trials_come_with_what_to_do(runs: Path, call: Call) -> None:
    said = call("status", runs)
    assert said.code == 0
    assert "4 trials: 2 ended, 0 running, 2 waiting" in said.out
    assert "give the same `pacebench run` command again" in said.out
    header, line = said.out.splitlines()[:2]
    assert line[header.index("ended") :].startswith("1 error, 1 target")
    assert "accuracy 0.75" in line
