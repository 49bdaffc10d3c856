"""What the browser gets to score again: strict JSON, and the same for the same runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.page_data import data_script
from reports.what_if import what_if_payload
from scoring import read_runs, score_runs
from tests.scoring.random_runs import random_runs
from tests.scoring.run_folders import add_trial, evaluation, plan, write_trial


def payload_of(runs: Path) -> dict[str, Any]:
    read = read_runs([runs])
    return what_if_payload(read, score_runs(read))


def test_a_payload_holds_the_evaluations_near_the_target_by_trial(tmp_path: Path) -> None:
    # Of 0.9, 5% easier is 0.855. sgd's first study is not there; the last one is after the budget.
    add_trial(tmp_path, [(10.0, 0.5), (20.0, 0.86), (30.0, 0.95)], n_trials=1, n_studies=5)
    late = {"submission": "sgd", "n_trials": 1, "n_studies": 2}
    add_trial(tmp_path, [(40.0, 0.7), (101.0, 0.9)], study=1, **late)
    found = payload_of(tmp_path)
    assert [(s["name"], s["place"]) for s in found["submissions"]] == [("adamw", 0), ("sgd", 1)]
    assert found["workloads"] == [
        {"name": "digits", "key": "digits", "sign": 1, "target": 0.9, "base": None}
    ]
    assert (found["planned"], found["evaluated"]) == ([5, 2], [1, 1])
    assert found["trials"] == {"cell": [0, 1], "study": [0, 1], "n": [2, 1]}
    assert found["evaluations"] == {
        "number": [2, 3, 2],
        "step": [200, 300, 1010],
        "time": [20.0, 30.0, 101.0],
        "value": [0.86, 0.95, 0.9],
        "late": [2],
    }


@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_runs_give_the_same_bytes(seed: int) -> None:
    texts = []
    for _ in range(2):
        runs = random_runs(seed)
        texts.append(data_script("what_if", what_if_payload(runs, score_runs(runs))))
    assert texts[0] == texts[1]
    assert texts[0].isascii()


def test_hostile_names_become_keys_that_fit_an_address(tmp_path: Path) -> None:
    names = ("__proto__", "a,b&c=d", "</script>", "n" * 10_000, "\u202e\ud800", "plain-1.0")
    for i, name in enumerate(names):
        write_trial(tmp_path / str(i), plan(submission=name), [evaluation(100, 10.0, 0.95)])
    found = payload_of(tmp_path)
    keys = [one["key"] for one in found["submissions"]]
    assert len(set(keys)) == len(names)
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert all(key and len(key) < 80 and set(key) <= allowed for key in keys)
    json.dumps(found, allow_nan=False).encode("ascii")
