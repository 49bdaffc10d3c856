"""`pacebench export` and `pacebench import`: AlgoPerf's log tree, clean and dirty."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pacebench.plan import TrialPlan, read_plan
from pacebench.rows import EvalRow, Reason
from pacebench.store import RunStore, create_trial
from tests.cli.conftest import Call
from tests.support import PLAN
from tuning.rules import load_rules

HEADER = (
    "accumulated_eval_time,accumulated_logging_time,accumulated_submission_time,global_step,"
    "preemption_count,score,test/accuracy,test/loss,test/num_examples,total_duration,"
    "train/accuracy,train/loss,validation/accuracy,validation/loss,validation/num_examples"
)
MNIST_BUDGET = 60.0  # AlgoPerf v0.5, workloads/mnist/workload.py, with the target 0.97


def cells(step: int, seconds: float, accuracy: float | str, preemptions: int = 0) -> str:
    """Give a line of eval_measurements.csv, as AlgoPerf v0.5 writes it."""
    return (
        f"1.5,0.25,{seconds!r},{step},{preemptions},{seconds!r},{accuracy},0.5,10000,99.0,"
        f"{accuracy},0.5,{accuracy},0.5,10000"
    )


def write_trial(folder: Path, *lines: str, **files: Any) -> Path:
    """Write a trial of AlgoPerf's by hand; `files` are JSON by name without ending."""
    folder.mkdir(parents=True)
    if lines:
        (folder / "eval_measurements.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def imported(call: Call, *words: object) -> dict[str, Any]:
    said = call("import", *words, "--json")
    assert (said.code, said.err) == (0, "")
    document: dict[str, Any] = json.loads(said.out)
    return document


def ends(runs: Path) -> dict[str, str]:
    """Give the reasons by trial folder's name."""
    return {p.parent.name: json.loads(p.read_text())["reason"] for p in runs.glob("**/end.json")}


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, TrialPlan]:
    """A trial of ours, with numbers that only an exact writer keeps."""
    rules = load_rules("dev").effective("digits", "external")
    plan = dataclasses.replace(PLAN, rules=rules, seed=2**64 - 1, deviations=("3 of 5 trials",))
    folder = tmp_path / "runs" / plan.folder()
    create_trial(folder, plan.to_json())
    store = RunStore(folder)
    for step, seconds in ((1, 0.1 + 0.2), (7, 1e-17 + 1 / 3), (2**40, 9.999999999999998)):
        metrics = {"train/loss": 1 / step, "validation/accuracy": 0.1, "test/accuracy": math.nan}
        store.append_row(EvalRow(step=step, seconds=seconds, metrics=metrics))
        store.append_timing(step, {"submission": seconds, "evaluation": 0.7, "logging": 0.1})
    store.append_metrics(3, {"grad_norm": 2.5})
    store.update_meta(hardware_class="2 cores of X", machine={"processor": "X"})
    store.write_end(Reason.BUDGET, step=2**40)
    return folder, plan


def test_export_and_import_keep_every_digit(
    own: tuple[Path, TrialPlan], call: Call, tmp_path: Path
) -> None:
    folder, plan = own
    assert call("export", "runs", "--out", "logs").code == 0
    document = imported(call, "logs", "--out", "back", "--rules", "dev")
    assert (document["trials"], document["evaluations"]) == (1, 3)
    back = tmp_path / "back" / plan.folder()
    assert (back / "rows.jsonl").read_bytes() == (folder / "rows.jsonl").read_bytes()
    again = read_plan(back)
    for name in ("rules", "hyperparameters", "seed", "sizes", "batch_size", "deviations"):
        assert getattr(again, name) == getattr(plan, name), name
    meta = RunStore(back).meta()
    assert meta["hardware_class"] == "2 cores of X"
    assert meta["imported"]["not_stated"] == ["source"]
    assert ends(tmp_path / "back") == {"trial_1": "budget"}  # the period after it passes the budget


def test_the_exported_tree_is_algoperfs(
    own: tuple[Path, TrialPlan], call: Call, tmp_path: Path
) -> None:
    call("export", "runs", "--out", "logs")
    folder = tmp_path / "logs/external_tuning/adamw/study_0/digits_pytorch/trial_1"
    names = ["eval_measurements.csv", "flags_0.json", "hparams.json", "measurements.csv"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "meta_data_0.json"]
    table = pd.read_csv(folder / "eval_measurements.csv")
    assert list(table.columns) == sorted(table.columns)
    assert table["global_step"].tolist() == [1, 7, 2**40]
    assert table["score"].tolist() == table["accumulated_submission_time"].tolist()
    assert table["test/accuracy"].isna().all()
    assert table["validation/num_examples"].tolist() == [397] * 3
    assert table["accumulated_eval_time"].tolist() == [0.7] * 3
    everything = pd.read_csv(folder / "measurements.csv")
    assert everything["grad_norm"].dropna().tolist() == [2.5]
    final = everything.iloc[-1].dropna()
    assert sorted(final.index) == ["global_step", "preemption_count", "score"]
    flags = json.loads((folder / "flags_0.json").read_text())
    assert flags["framework"] == "pytorch"
    assert (flags["hparam_start_index"], flags["hparam_end_index"]) == (0, 1)
    hparams = json.loads((folder / "hparams.json").read_text())
    assert hparams == {"lr": 1e-3, "schedule": "none"}
    meta = json.loads((folder / "meta_data_0.json").read_text())
    assert meta["workload.num_validation_examples"] == 397


def test_trials_without_times_are_left_out_and_said(call: Call, tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, clock="steps")
    create_trial(tmp_path / "runs" / plan.folder(), plan.to_json())
    document = json.loads(call("export", "runs", "--out", "logs", "--json").out)
    assert document["trials"] == 0
    assert document["notes"] == {"left out, because its clock counts steps": 1}


def test_export_overwrites_nothing_and_mixes_no_rules(
    own: tuple[Path, TrialPlan], call: Call, tmp_path: Path
) -> None:
    assert call("export", "runs", "--out", "logs").code == 0
    said = call("export", "runs", "--out", "logs")
    assert (said.code, "is not overwritten" in said.err) == (2, True)
    create_trial(tmp_path / "runs" / PLAN.folder(), PLAN.to_json())  # the same under rules "test"
    said = call("export", "runs", "--out", "other")
    assert (said.code, "export the runs of one rules version" in said.err) == (2, True)
    assert not (tmp_path / "other").exists()


def test_ends_are_derived_or_said_to_be_unknown(call: Call, tmp_path: Path) -> None:
    top = tmp_path / "logs/external_tuning/sub/study_0/mnist_jax"
    point = {"hparams": {"lr": 0.1}}
    write_trial(top / "trial_1", cells(1, 0.5, 0.1), cells(500, 20.0, 0.98), **point)
    write_trial(top / "trial_2", cells(1, 0.5, 0.1), cells(900, 60.5, 0.5), **point)
    write_trial(top / "trial_3", cells(1, 0.5, 0.1), cells(900, 55.0, 0.5), **point)  # 55 + 10 > 60
    write_trial(top / "trial_4", cells(1, 0.5, 0.1), cells(7813, 30.0, 0.5), **point)
    write_trial(top / "trial_5", cells(1, 0.5, 0.1), cells(300, 30.0, 0.5), **point)
    document = imported(call, "logs", "--out", "runs")
    assert document["dirt"] == {"missing studies": ["sub on mnist: 1 of 5"]}
    assert ends(tmp_path / "runs") == {
        "trial_1": "target",
        "trial_2": "budget",
        "trial_3": "budget",
        "trial_4": "max_steps",
        "trial_5": "unknown",
    }
    plan = read_plan(next(tmp_path.glob("runs/**/trial_1")))
    assert (plan.framework, plan.style, plan.source) == ("jax", "imported", None)
    assert plan.rules.budget_seconds == MNIST_BUDGET
    assert plan.sizes == {"test": 10000, "validation": 10000}
    not_stated = RunStore(tmp_path / "runs" / plan.folder()).meta()["imported"]["not_stated"]
    assert not_stated == ["batch_size", "device", "seed", "source"]


def test_dirt_is_counted_and_never_fatal(call: Call, tmp_path: Path) -> None:
    top = tmp_path / "logs/external_tuning/sub"
    point = {"hparams": {"lr": 0.1}}
    mnist = top / "study_0/mnist_pytorch"
    write_trial(mnist / "trial_1", cells(1, 0.5, ""), cells(10, 1.0, "nan"), "1,2,3", **point)
    write_trial(mnist / "trial_2", **point)  # no CSV
    write_trial(mnist / "trial_3", cells(1, 0.5, 0.1))  # no hyperparameters
    (mnist / "trial_4").mkdir()
    write_trial(mnist / "trial_1_old", cells(1, 0.5, 0.99), **point)
    (mnist / "mnist_pytorch_01-01.log").write_text("a log is no dirt")
    (top / "study_0/mnist_jax").mkdir()
    (top / "study_0/trial_1").mkdir()
    (top / "study_0/a.log").write_text("")
    (top / "notes").mkdir()
    write_trial(top / "study_1/nonesuch_jax/trial_1", cells(1, 0.5, 0.1), **point)
    preempted = top / "study_1/mnist_pytorch"
    lines = (cells(1, 1.0, 0.1), cells(20, 9.0, 0.2), cells(10, 5.0, 0.3, 1))
    write_trial(preempted / "trial_1", *lines, **point)
    for number, damage in enumerate((b"\xff\xfe,", b'"', b"global_step\n1\n"), start=2):
        write_trial(preempted / f"trial_{number}", **point)
        (preempted / f"trial_{number}/eval_measurements.csv").write_bytes(damage)
    write_trial(preempted / "trial_5", cells(1, 0.5, 0.1), hparams=[1])
    document = imported(call, "logs", "--out", "runs")
    assert {kind: len(places) for kind, places in document["dirt"].items()} == {
        "blank or not finite values": 1,
        "damaged JSON": 1,
        "damaged eval_measurements.csv": 1,
        "damaged line": 2,
        "empty trial folder": 1,
        "eval_measurements.csv without evaluations": 1,
        "folder that is no study": 1,
        "folder that is no trial": 1,
        "loose file": 1,
        "missing studies": 1,
        "no eval_measurements.csv": 1,
        "no hparams.json": 2,
        "steps made again": 1,
        "stray trial folder": 1,
        "studies with missing trials": 1,
        "workload folder without trials": 1,
        "workload that rules algoperf-0.5 do not have": 1,
    }
    assert document["trials"] == 8
    rows = RunStore(next(tmp_path.glob("runs/**/study_1/**/trial_1"))).rows()
    assert [(row.step, row.seconds) for row in rows] == [(1, 1.0), (10, 5.0)]
    blank = RunStore(next(tmp_path.glob("runs/**/study_0/**/trial_1"))).rows()
    assert [row.step for row in blank] == [1, 10]
    assert all(math.isnan(row.metrics["validation/accuracy"]) for row in blank)
    said = call("score", "runs")
    assert said.code == 0
    assert "missed" in said.out


def test_importing_twice_changes_nothing(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "logs/self_tuning/sub/study_0/mnist_jax/trial_1"
    write_trial(folder, cells(1, 0.5, 0.1), meta_data_0={"rng_seed": -7, "gpu_count": 0})
    assert imported(call, "logs", "--out", "runs")["trials"] == 1
    before = {p: p.read_bytes() for p in tmp_path.glob("runs/**/*") if p.is_file()}
    again = imported(call, "logs/self_tuning", "--out", "runs")
    assert (again["trials"], again["there_already"]) == (0, 1)
    assert {p: p.read_bytes() for p in tmp_path.glob("runs/**/*") if p.is_file()} == before
    (folder / "hparams.json").write_text('{"lr": 1}')
    said = call("import", "logs", "--out", "runs")
    assert (said.code, "holds another trial" in said.err) == (2, True)
    plan = read_plan(next(tmp_path.glob("runs/**/trial_1")))
    assert plan.seed == 2**32 - 7  # AlgoPerf takes seeds modulo 2^32
    assert plan.rules.budget_seconds == 3 * MNIST_BUDGET  # v0.5, self-tuning


def test_a_log_that_ran_under_other_limits_says_so(call: Call, tmp_path: Path) -> None:
    meta = {
        "workload.step_hint": 100,
        "workload.validation_target_value": 0.97,
        "gpu_count": 8,
        "gpu_model_name": "Tesla V100-SXM2-16GB",
        "workload.num_train_examples": 50000,
    }
    folder = tmp_path / "logs/external_tuning/sub/study_0/mnist_jax/trial_1"
    old = {"workload.step_hint": 1}  # of the process before a preemption
    write_trial(folder, cells(1, 0.5, 0.1), meta_data_0=old, meta_data_10=meta, hparams={"lr": 1})
    imported(call, "logs", "--out", "runs")
    plan = read_plan(next(tmp_path.glob("runs/**/trial_1")))
    assert plan.deviations == ("mnist ran with step_hint 100 (rules: 7813)",)
    assert plan.sizes["train"] == 50000
    meta_again = RunStore(tmp_path / "runs" / plan.folder()).meta()
    assert meta_again["hardware_class"] == "8x Tesla V100-SXM2-16GB"


def test_imported_trials_take_the_published_target_where_it_differs(
    call: Call, tmp_path: Path
) -> None:
    folder = tmp_path / "logs/external_tuning/sub/study_0/wmt_glu_tanh_jax/trial_1"
    write_trial(folder, cells(1, 0.5, 0.1), hparams={"lr": 1})
    imported(call, "logs", "--out", "runs")
    plan = read_plan(next(tmp_path.glob("runs/**/trial_1")))
    assert plan.rules.validation_target == 29.5779  # workload_targets_v05.json


def test_an_imported_trial_is_exported_with_the_same_times(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "logs/external_tuning/sub/study_3/mnist_jax/trial_2"
    lines = (cells(1, 0.30000000000000004, 0.1), cells(9, 12.25, ""))
    write_trial(folder, *lines, hparams={"lr": 0.1, "one_minus_beta1": None})
    imported(call, "logs", "--out", "runs")
    call("export", "runs", "--out", "again")
    other = tmp_path / "again" / folder.relative_to(tmp_path / "logs")
    with (
        (folder / "eval_measurements.csv").open() as one,
        (other / "eval_measurements.csv").open() as two,
    ):
        wanted, got = list(csv.DictReader(one)), list(csv.DictReader(two))
    for row in (*wanted, *got):
        del row["total_duration"]  # AlgoPerf's own also counts what lies between the sections
    assert got == wanted
