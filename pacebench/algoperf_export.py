"""Writes trials as AlgoPerf's log tree (`pacebench.algoperf_logs`), so that its tools read them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacebench import algoperf_logs as logs
from pacebench.clock import Section
from pacebench.errors import LogsError
from pacebench.plan import TrialPlan, read_plan
from pacebench.rows import METRICS_FILE, TIMING_FILE, EvalRow
from pacebench.store import RunStore, whole_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What was written, and what could not be."""

    n_trials: int
    n_rows: int
    notes: Mapping[str, int]
    """Numbers of trials by what is to be known about them."""


def export_trials(folders: Sequence[Path], out: Path) -> ExportReport:
    """Write the trials in `folders` below `out`; rows keep every digit.

    A trial whose clock counts steps has no times and is left out, with a note. Raises LogsError
    if two trials have the same place or if there is something at a place already.
    """
    plans = [(folder, read_plan(folder)) for folder in folders]
    timed = [(folder, plan) for folder, plan in plans if plan.clock == "seconds"]
    notes = Counter({"left out, because its clock counts steps": len(plans) - len(timed)})
    targets: dict[Path, Path] = {}
    for folder, plan in timed:
        target = out / algoperf_folder(plan)
        if target in targets:
            raise LogsError(
                f"{targets[target]} and {folder} have the same place in AlgoPerf's tree; export "
                "the runs of one rules version"
            )
        if target.exists():
            raise LogsError(f"{target} exists and is not overwritten; use another --out folder")
        targets[target] = folder
    n_rows = 0
    for (folder, plan), target in zip(timed, targets, strict=True):
        store = RunStore(folder)
        rows = store.rows()
        n_rows += len(rows)
        notes["exported without an evaluation"] += not rows
        notes["exported before it ended"] += store.end() is None
        _write_trial(target, plan, store, rows)
    found = {text: n for text, n in notes.items() if n}
    return ExportReport(n_trials=len(timed), n_rows=n_rows, notes=found)


def algoperf_folder(plan: TrialPlan) -> Path:
    """Give a trial's folder in AlgoPerf's tree."""
    return (
        Path(f"{plan.rules.ruleset}{logs.TUNING_SUFFIX}")
        / plan.submission
        / f"study_{plan.study}"
        / f"{plan.workload}_{logs.SUFFIX_OF[plan.framework]}"
        / f"trial_{plan.trial}"
    )


def _write_trial(target: Path, plan: TrialPlan, store: RunStore, rows: Sequence[EvalRow]) -> None:
    target.mkdir(parents=True)
    records = _eval_records(plan, store.folder, rows)
    if records:
        logs.write_csv(target / logs.EVAL_FILE, records)
        logs.write_csv(target / logs.ALL_FILE, _all_records(store.folder, records))
    if plan.rules.ruleset == "external":
        _write_json(target / logs.HYPERPARAMETERS_FILE, plan.hyperparameters)
    _write_json(target / f"{logs.META_PREFIX}0.json", _meta(plan, store.meta()))
    _write_json(target / f"{logs.FLAGS_PREFIX}0.json", _flags(plan, target))


def _eval_records(plan: TrialPlan, folder: Path, rows: Sequence[EvalRow]) -> list[dict[str, Any]]:
    timing: dict[int, dict[str, float]] = {}
    for line in whole_lines(folder / TIMING_FILE):
        sections = json.loads(line)
        timing.setdefault(sections["step"], sections)  # the first is the evaluation's
    sizes = {
        f"{split}/{logs.N_EXAMPLES}": plan.sizes[split]
        for split in ("validation", "test")
        if split in plan.sizes
    }
    records = []
    for row in rows:
        spent = {section: timing.get(row.step, {}).get(section, 0.0) for section in Section}
        seconds = {c: spent[s] for c, s in logs.SECONDS_OF.items() if s is not Section.SUBMISSION}
        records.append(
            {
                **row.metrics,
                **sizes,
                **seconds,
                "accumulated_submission_time": row.seconds,
                logs.SCORE: row.seconds,
                # Of the trial without its set-up, as AlgoPerf counts it.
                logs.TOTAL: (row.seconds or 0.0)
                + spent[Section.EVALUATION]
                + spent[Section.LOGGING]
                + spent[Section.CHECKPOINT],
                logs.STEP: row.step,
                logs.PREEMPTIONS: 0,
            }
        )
    return records


def _all_records(folder: Path, evaluations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows of measurements.csv: evaluations, what the submission logged, a final row."""
    logged = []
    for line in whole_lines(folder / METRICS_FILE):
        row = json.loads(line)
        logged.append({**row["metrics"], logs.STEP: row["step"], logs.PREEMPTIONS: 0})
    final = {k: evaluations[-1][k] for k in (logs.SCORE, logs.STEP, logs.PREEMPTIONS)}
    return [*sorted([*evaluations, *logged], key=lambda record: record[logs.STEP]), final]


def _meta(plan: TrialPlan, meta: Mapping[str, Any]) -> dict[str, Any]:
    rules, machine = plan.rules, meta.get("machine", {})
    is_gpu = plan.device == "gpu"
    workload = {
        "target_metric_name": rules.metric,
        "validation_target_value": rules.validation_target,
        "test_target_value": rules.test_target,
        "max_allowed_runtime_sec": rules.hint_seconds,
        "step_hint": rules.step_hint,
        "eval_period_time_sec": rules.eval_period_seconds,
        "eval_batch_size": plan.eval_batch_size,
        **{name: plan.sizes[split] for name, split in logs.SIZE_OF.items() if split in plan.sizes},
    }
    hardware = str(meta.get("hardware_class", ""))
    return {
        "rng_seed": plan.seed,
        **{f"workload.{name}": value for name, value in workload.items()},
        "cpu_model_name": machine.get("processor"),
        "gpu_model_name": hardware.partition("x ")[2] if is_gpu else None,
        "gpu_count": plan.n_devices if is_gpu else 0,
        "os_platform": machine.get("operating_system"),
        "python_version": machine.get("python"),
        "hardware_class": hardware,
        "pacebench": machine.get("pacebench"),
        "deviations": list(plan.deviations),
    }


def _flags(plan: TrialPlan, target: Path) -> dict[str, Any]:
    return {
        "submission_path": plan.source,
        "workload": plan.workload,
        "framework": logs.SUFFIX_OF[plan.framework],
        "tuning_ruleset": plan.rules.ruleset,
        "tuning_search_space": None,
        "num_tuning_trials": plan.n_trials,
        "hparam_start_index": plan.trial - 1,
        "hparam_end_index": plan.trial,
        "rng_seed": plan.seed,
        "max_global_steps": plan.rules.max_steps,
        "torch_compile": plan.is_compiled,
        "save_checkpoints": True,
        "experiment_dir": str(target.parents[4]),
        "experiment_name": str(target.relative_to(target.parents[4]).parent.parent),
        "overwrite": False,
        "resume_last_run": False,
        "data_dir": plan.data_dir,
        "global_batch_size": plan.batch_size,  # ours: AlgoPerf's logs do not say it
    }


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
