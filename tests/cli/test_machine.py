"""`pacebench doctor` and `pacebench calibrate-machine`: what the machine can do, and how fast."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from pacebench import calibration, machine_check
from pacebench.calibration import Measurement, budget_scales, scaled_rules, seconds_per_step
from pacebench.errors import PlanError
from pacebench.machine_check import FrameworkState, look_at_framework
from pacebench.rows import EvalRow
from tests.cli.conftest import Call
from tuning.rules import load_rules


def state(framework: str, *, is_usable: bool, problem: str = "") -> FrameworkState:
    return FrameworkState(framework=framework, is_usable=is_usable, problem=problem)


def test_doctor_finds_what_digits_needs(call: Call) -> None:
    said = call("doctor", "--json")
    document = json.loads(said.out)
    frameworks = {f["framework"]: f for f in document["frameworks"]}
    for name in ("torch", "jax"):
        assert frameworks[name]["is_usable"] == (importlib.util.find_spec(name) is not None)
    data = {d["workload"]: d for d in document["data"]}
    assert data["digits"]["sizes"]["train"] == 1000
    assert data["mnist"]["sizes"] is None
    assert "--data-dir" in data["mnist"]["problem"]
    assert document["free_disk_bytes"] > 0
    assert (said.code, document["problems"]) == (0, [])


def test_doctor_imports_no_framework_itself(call: Call) -> None:
    before = {"torch", "jax"} & set(sys.modules)
    said = call("doctor")
    assert {"torch", "jax"} & set(sys.modules) == before
    assert "next: pacebench run " in said.out


def test_doctor_fails_where_no_framework_works(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(framework: str) -> FrameworkState:
        text = f"{framework} is not installed: pip install 'pacebench[{framework}]'"
        return state(framework, is_usable=False, problem=text)

    monkeypatch.setattr(machine_check, "look_at_framework", broken)
    said = call("doctor")
    assert said.code == 1
    assert "problem: torch is not installed: pip install 'pacebench[torch]'" in said.out
    assert "next: mend the problem, then: pacebench doctor" in said.out


def test_doctor_warns_where_one_framework_does_not_work(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(framework: str) -> FrameworkState:
        problem = "jax does not work" if framework == "jax" else ""
        return state(framework, is_usable=framework == "torch", problem=problem)

    monkeypatch.setattr(machine_check, "look_at_framework", half)
    said = call("doctor")
    assert said.code == 0
    assert "warning: jax does not work" in said.out
    assert "next: pacebench run adamw --workload digits --rules dev" in said.out


def test_a_cpu_build_beside_a_gpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(machine_check, "visible_gpus", lambda: ["0"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # torch sees no GPU, whatever there is
    found = look_at_framework("torch")
    assert found.is_usable
    assert "but an NVIDIA GPU is present" in found.problem


def test_a_broken_install_is_a_line_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine_check.PROBES, "torch", "pacebench.no_such_module")
    found = look_at_framework("torch")
    assert not found.is_usable
    assert "does not work" in found.problem or "not installed" in found.problem


def test_the_first_evaluation_is_left_out_of_the_speed() -> None:
    rows = [EvalRow(step=s, seconds=t, metrics={}) for s, t in ((1, 3.0), (51, 3.5), (101, 4.0))]
    assert seconds_per_step(rows) == 0.01  # (4.0 - 3.0) / (101 - 1)
    with pytest.raises(PlanError, match="1 evaluations are too few"):
        seconds_per_step(rows[:1])


def test_a_budget_is_the_step_hint_at_the_measured_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    rules = load_rules("dev")
    digits = rules.workload("digits")
    speed = 2 * digits.budget_seconds / digits.step_hint  # half as fast as stated
    measured = Measurement(
        workload="digits", hardware_class="slow", seconds_per_step=speed, n_steps=9, date=""
    )
    calibration.write_measurements([measured])
    assert budget_scales(rules, ["digits", "mnist"], "slow") == {"digits": 2.0}
    with pytest.raises(PlanError, match=r"not measured on fast \(measured: slow\)"):
        budget_scales(rules, ["digits"], "fast")
    scaled = scaled_rules(rules, {"digits": 2.0}).effective("digits", "external")
    assert scaled.budget_seconds == 2 * digits.budget_seconds
    assert scaled.hint_seconds == 2 * digits.budget_seconds
    assert scaled.eval_period_seconds == 2 * digits.eval_period_seconds
    assert scaled.step_hint == digits.step_hint


def test_a_damaged_file_of_measurements_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    calibration.machine_file().parent.mkdir()
    for text in ("{", "[]", '{"schema_version": 2}', '{"schema_version": 1, "measurements": [1]}'):
        calibration.machine_file().write_text(text)
        with pytest.raises(PlanError, match="delete it and measure again"):
            calibration.read_measurements()


def test_a_calibrated_run_says_so_in_its_plan(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    said = call("calibrate-machine", "--steps", 20, "--json")
    assert said.code == 0
    (measured,) = json.loads(said.out)["measurements"]
    assert measured["workload"] == "digits"
    assert measured["n_steps"] == 19
    assert measured["seconds_per_step"] > 0
    assert (tmp_path / "config/pacebench/machine.json").is_file()
    words = ("adamw", "--workload", "digits", "--rules", "dev", "--plan-only")
    said = call("run", *words, "--budget-scale", "auto")
    plan = json.loads(next(tmp_path.glob("runs/**/trial.json")).read_text())
    stated = load_rules("dev").workload("digits").budget_seconds
    wanted = (
        f"budget of digits calibrated: {measured['budget_seconds']:.3g} s (rules: {stated:g} s)"
    )
    assert plan["deviations"] == [wanted]
    assert plan["rules"]["budget_seconds"] == pytest.approx(measured["budget_seconds"])
    assert f"not a full score: {wanted}" in said.out
