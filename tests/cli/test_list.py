"""`pacebench list`: what there is, for people and for programs."""

from __future__ import annotations

import json
import sys

from tests.cli.conftest import Call


def test_workloads_carry_sizes_and_the_targets_of_every_version(call: Call) -> None:
    said = call("list", "workloads", "--json")
    workloads = {w["name"]: w for w in json.loads(said.out)["workloads"]}
    mnist = workloads["mnist"]
    assert said.code == 0
    # AlgoPerf v0.5, workloads/mnist/workload.py
    assert mnist["sizes"] == {"train": 50000, "eval_train": 10000} | {
        "validation": 10000,
        "test": 10000,
    }
    assert mnist["loss"] == "softmax_cross_entropy"
    assert mnist["rules"]["dev"] == {
        "metric": "accuracy",
        "direction": "higher",
        "validation_target": 0.97,
        "test_target": 0.97,
        "budget_seconds": 60.0,
        "step_hint": 7813,
        "eval_period_seconds": 10.0,
        "reference_hardware": "not stated by AlgoPerf",
        "variant_of": None,
    }
    assert set(mnist["rules"]) == {"dev", "algoperf-0.5", "algoperf-0.6"}


def test_submissions_are_listed_without_importing_them(call: Call) -> None:
    for name in [n for n in sys.modules if n.startswith("submissions.")]:
        del sys.modules[name]
    listed = {
        s["name"]: s for s in json.loads(call("list", "submissions", "--json").out)["submissions"]
    }
    assert listed["adamw"]["framework"] == "torch"
    assert listed["adamw_jax"]["framework"] == "jax"
    assert listed["schedule_free_adamw"]["level"] == 1
    assert listed["adamw"]["tuning"] == ["external", "self"]
    assert not [n for n in sys.modules if n.startswith("submissions.")]


def test_rules_and_suites_are_listed(call: Call) -> None:
    rules = {r["version"]: r for r in json.loads(call("list", "rules", "--json").out)["rules"]}
    assert (rules["algoperf-0.5"]["studies"], rules["algoperf-0.5"]["trials"]) == (5, 5)
    suites = {s["name"]: s for s in json.loads(call("list", "suites", "--json").out)["suites"]}
    assert {"digits", "mnist"} <= set(suites["dev"]["workloads"])


def test_without_a_word_everything_is_listed_in_aligned_tables(call: Call) -> None:
    said = call("list")
    tables = [block.splitlines() for block in said.out.strip().split("\n\n")]
    assert [table[0].split()[0] for table in tables] == ["workload", "submission", "rules", "suite"]
    header, *rows = tables[0]
    end = header.index("train") + len("train")
    assert all(row[end - 1].isdecimal() and row[end] == " " for row in rows)
