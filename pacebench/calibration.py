"""What a budget in seconds means on this machine: measured once, kept, and applied to the rules.

A small workload's budget stands for so many steps of the AdamW reference. A machine twice as slow
needs twice the seconds for them, so it measures its seconds per step in a real trial, keeps them
in the user's configuration folder by hardware class, and scales budget and evaluation period.
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacebench.environment import hardware_class
from pacebench.errors import PlanError, unknown_name
from pacebench.executors.local import drain, make_slots
from pacebench.plugins import find_submission, find_workload
from pacebench.rows import FAILURES, EvalRow
from pacebench.spec import DataRequest
from pacebench.store import RunStore
from pacebench.study import Resources, StudyRequest, draw_plan, write_plan
from tuning.rules import Rules, load_rules, rules_versions

REFERENCE = "adamw"
"""The submission whose steps the budgets are stated in."""
SCHEMA_VERSION = 1
_GENEROUS = 1000.0
"""Scales the budget of a measurement, so that a slow machine makes all its steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """How fast the reference trains one workload on one hardware class."""

    workload: str
    hardware_class: str
    seconds_per_step: float
    n_steps: int
    """How many steps were measured."""
    date: str
    """The day, as ISO 8601 writes it."""


def calibrated_workloads() -> dict[str, str]:
    """Give the workloads whose budget a machine may measure, with a rule version that has each."""
    found: dict[str, str] = {}
    for version in rules_versions():
        for name, limits in load_rules(version).workloads.items():
            if limits.calibrated:
                found.setdefault(name, version)
    return dict(sorted(found.items()))


def measure(
    workload: str, resources: Resources, n_steps: int, data: DataRequest | None = None
) -> Measurement:
    """Run a trial of the reference for `n_steps` and give its speed after the first step.

    The first step (with its warm-up or compilation) is left out. Raises UnknownNameError if the
    workload's budget cannot be measured, PlanError if the trial failed.
    """
    known = calibrated_workloads()
    if workload not in known:
        raise unknown_name("workload with a budget to measure", workload, known)
    request = StudyRequest(
        submissions=[find_submission(REFERENCE)],
        workloads=[find_workload(workload)],
        rules=load_rules(known[workload]),
        ruleset="self",
        resources=resources,
        data=data or DataRequest(),
        studies=1,
        trials=1,
        budget_scale=_GENEROUS,
        max_steps=n_steps,
    )
    with tempfile.TemporaryDirectory(prefix="pacebench-calibrate-") as scratch:
        (folder,) = write_plan(draw_plan(request), Path(scratch))
        rows = _run(folder, resources)
    return Measurement(
        workload=workload,
        hardware_class=class_of(resources),
        seconds_per_step=seconds_per_step(rows),
        n_steps=rows[-1].step - rows[0].step,
        date=datetime.date.today().isoformat(),
    )


def seconds_per_step(rows: Sequence[EvalRow]) -> float:
    """Give the mean seconds per step from the first evaluation to the last; needs two of them."""
    if len(rows) < 2:
        raise PlanError(f"{len(rows)} evaluations are too few to measure; give more --steps")
    first, last = rows[0], rows[-1]
    assert first.seconds is not None
    assert last.seconds is not None
    return (last.seconds - first.seconds) / (last.step - first.step)


def budget_scales(rules: Rules, workloads: Iterable[str], hardware: str) -> dict[str, float]:
    """Give the factor from the rules' seconds to this machine's, by workload.

    measured seconds per step * step_hint / budget_seconds; workloads whose budget is not stated
    in steps of the reference have none. Raises PlanError if a workload was not measured on the
    hardware class.
    """
    measured = read_measurements()
    scales = {}
    for name in workloads:
        limits = rules.workload(name)
        if not limits.calibrated:
            continue
        if (hardware, name) not in measured:
            there = sorted({known for known, _ in measured})
            raise PlanError(
                f"the budget of {name} was not measured on {hardware} (measured: "
                f"{', '.join(there) or 'nothing'}); first: pacebench calibrate-machine, with the "
                "same --jobs and --device"
            )
        seconds = measured[hardware, name].seconds_per_step * limits.step_hint
        scales[name] = seconds / limits.budget_seconds
    return scales


def scaled_rules(rules: Rules, scales: Mapping[str, float]) -> Rules:
    """Give the rules with budgets and evaluation periods multiplied as `scales` says."""
    changed = {
        name: replace(
            rules.workload(name),
            budget_seconds=rules.workload(name).budget_seconds * scale,
            eval_period_seconds=rules.workload(name).eval_period_seconds * scale,
        )
        for name, scale in scales.items()
    }
    return replace(rules, workloads={**rules.workloads, **changed})


def class_of(resources: Resources) -> str:
    """Give the hardware class of trials that run on `resources`."""
    return hardware_class(resources.device, resources.n_devices, resources.n_cores)


def machine_file() -> Path:
    """Give the file that holds the measurements (XDG base directory specification)."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "pacebench" / "machine.json"


def read_measurements() -> dict[tuple[str, str], Measurement]:
    """Read all measurements, by hardware class and workload; raises PlanError if damaged."""
    path = machine_file()
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        if raw["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {raw['schema_version']}")
        found = [Measurement(**record) for record in raw["measurements"]]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path} is damaged ({error}); delete it and measure again") from error
    return {(m.hardware_class, m.workload): m for m in found}


def write_measurements(new: Iterable[Measurement]) -> Path:
    """Add measurements to the file, in the place of older ones of the same; gives the file."""
    kept = read_measurements() | {(m.hardware_class, m.workload): m for m in new}
    records = [
        {name: getattr(kept[key], name) for name in Measurement.__dataclass_fields__}
        for key in sorted(kept)
    ]
    document = {"schema_version": SCHEMA_VERSION, "measurements": records}
    path = machine_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)
    return path


def _run(folder: Path, resources: Resources) -> list[EvalRow]:
    """Run one trial to its end; gives its rows, or raises PlanError that says why it failed."""
    n_gpus = resources.n_devices if resources.device == "gpu" else 0
    slots = make_slots(1, resources.n_cores, n_gpus)
    failed = [line for report in drain([folder], slots) for _, line in report.failed]
    end = RunStore(folder).end() or {"reason": "interrupted", "message": "".join(failed)}
    if failed or end["reason"] in FAILURES:
        raise PlanError(
            f"the measurement failed ({end['reason']}: {end.get('message', '')}); see "
            "`pacebench doctor`"
        )
    return RunStore(folder).rows()
