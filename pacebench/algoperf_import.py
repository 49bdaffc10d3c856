"""Reads AlgoPerf's log tree (`pacebench.algoperf_logs`) into run folders of ours.

The published logs are dirty: files and studies are missing, cells are blank, folders lie where
they should not. Nothing of that is fatal: what can be read is imported, and the rest is counted.
What the logs do not tell is not invented: a missing batch size or seed is 0 and is listed in
meta.json under `not_stated`, and an end that cannot be derived has the reason "unknown".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pacebench.algoperf_read import ImportReport, TrialLogs, read_trial
from pacebench.algoperf_tree import LAYOUT, Dirt, TrialPlace, find_trials
from pacebench.errors import LogsError
from pacebench.limits import limits_of
from pacebench.plan import TrialPlan, TrialRules, plan_from_json
from pacebench.rows import (
    END_FILE,
    META_FILE,
    PLAN_FILE,
    ROWS_FILE,
    TIMING_FILE,
    EvalRow,
    Reason,
)
from tuning.rules import Rules

STYLE = "imported"
"""The style of an imported plan: its code is not here, so it cannot be run."""
HARDWARE_NOT_STATED = "not stated in the logs"
_LIMITS = {
    "validation_target_value": "validation_target",
    "test_target_value": "test_target",
    "max_allowed_runtime_sec": "budget_seconds",
    "step_hint": "step_hint",
    "eval_period_time_sec": "eval_period_seconds",
}
"""The names of a workload's rules in meta_data_<p>.json ("workload.<name>") and in our rules."""


def import_logs(path: Path, out: Path, rules: Rules) -> ImportReport:
    """Import all trials below `path` as run folders in `out`, judged by `rules`.

    `path` is or holds a folder of submissions. A trial that is there already is left as it is.
    Raises LogsError if there are no logs, or if another trial is in the way.
    """
    tree = find_trials(path)
    if not (tree.places or tree.dirt):
        raise LogsError(f"no AlgoPerf logs in {path}: nowhere below is a {LAYOUT}")
    report = ImportReport(dirt=list(tree.dirt))
    places = tree.places
    known = [place for place in places if place.workload in rules.workloads]
    for place in places:
        if place.workload not in rules.workloads:
            report.add(f"workload that rules {rules.version} do not have", place)
    for place in known:
        if not place.files:
            report.add("empty trial folder", place)
            continue
        stated = read_trial(place, report)
        _write_trial(place, stated, out, rules, report)
    _count_missing(known, rules, report)
    return report


def _write_trial(
    place: TrialPlace, stated: TrialLogs, out: Path, rules: Rules, report: ImportReport
) -> None:
    plan = _plan(place, stated, rules)
    folder = out / plan.folder()
    if (folder / PLAN_FILE).exists():
        there = plan_from_json((folder / PLAN_FILE).read_bytes(), str(folder / PLAN_FILE))
        if there.to_json() != plan.to_json():
            raise LogsError(f"{folder} holds another trial; use another --out folder")
        if (folder / END_FILE).exists():
            report.n_there_already += 1
            return
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / PLAN_FILE, plan.to_json())
    _write(folder / ROWS_FILE, "".join(f"{row.to_json()}\n" for row in stated.rows))
    _write(folder / TIMING_FILE, "".join(f"{json.dumps(line)}\n" for line in stated.timing))
    _write(folder / META_FILE, _to_json(_meta(place, stated)))
    _write(folder / END_FILE, _to_json(_end(plan, stated.rows)))  # the last: now it is whole
    report.n_trials += 1
    report.n_rows += len(stated.rows)


def _plan(place: TrialPlace, stated: TrialLogs, rules: Rules) -> TrialPlan:
    meta, flags = stated.meta, stated.flags
    n_gpus = meta.get("gpu_count")
    return TrialPlan(
        submission=place.submission,
        framework=place.framework,
        style=STYLE,
        address="",
        source=None,
        source_hash="",
        authors=(),
        description="imported from AlgoPerf's logs",
        workload=place.workload,
        rules=_trial_rules(rules, place),
        deviations=_deviations(rules, place, meta),
        study=place.study,
        trial=place.trial,
        n_studies=rules.studies,
        n_trials=rules.trials_per_study(place.ruleset),
        hyperparameters=stated.hyperparameters,
        seed=_seed(meta.get("rng_seed", flags.get("rng_seed"))),
        batch_size=_whole(flags.get("global_batch_size")),
        eval_batch_size=_whole(meta.get("workload.eval_batch_size")),
        device="cpu" if n_gpus == 0 else "gpu",
        n_devices=_whole(n_gpus) or 1,
        n_cores=0,
        clock="seconds",
        is_compiled=flags.get("torch_compile") is True,
        data_dir=None,
        allow_partial_data=False,
        sizes=stated.sizes,
        checkpoint_period_seconds=0.0,
        wall_limit_seconds=0.0,
    )


def _trial_rules(rules: Rules, place: TrialPlace) -> TrialRules:
    """Give the rules of a trial, with the published leaderboard's target where it differs.

    Of 103 published trials of wmt_glu_tanh whose end is not clear otherwise, all but a few stop
    just above 29.5779, the leaderboard's target, and not at v0.5.0's 29.6517: they ran to it.
    """
    effective = rules.effective(place.workload, place.ruleset)
    published = rules.workload(place.workload).scoring_validation_target
    return effective if published is None else replace(effective, validation_target=published)


def _deviations(rules: Rules, place: TrialPlace, meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Say where the workload that ran was another than that of the rules."""
    limits = asdict(rules.workload(place.workload))
    limits["validation_target"] = _trial_rules(rules, place).validation_target
    wanted = {name: limits[ours] for name, ours in _LIMITS.items()}
    found = []
    for name, value in wanted.items():
        got = meta.get(f"workload.{name}", value)
        if got != value:
            found.append(f"{place.workload} ran with {name} {got} (rules: {value})")
    ours = meta.get("deviations")  # which only exports of ours have
    return (*(map(str, ours) if isinstance(ours, list) else ()), *found)


def _meta(place: TrialPlace, stated: TrialLogs) -> dict[str, Any]:
    meta = stated.meta
    n_gpus, gpu, cpu = (meta.get(k) for k in ("gpu_count", "gpu_model_name", "cpu_model_name"))
    hardware = str(cpu) if cpu else HARDWARE_NOT_STATED
    if n_gpus and gpu:
        hardware = f"{n_gpus}x {gpu}"
    stated_names = {
        "seed": "rng_seed" in meta or "rng_seed" in stated.flags,
        "batch_size": "global_batch_size" in stated.flags,
        "hyperparameters": bool(stated.hyperparameters),
        "device": n_gpus is not None,
        "source": False,
    }
    machine = {
        "processor": cpu,
        "operating_system": meta.get("os_platform"),
        "python": meta.get("python_version"),
    }
    return {
        "hardware_class": str(meta.get("hardware_class") or hardware),
        "machine": {name: value for name, value in machine.items() if value is not None},
        "imported": {
            "from": "AlgoPerf logs",
            "folder": place.name,
            "not_stated": sorted(name for name, is_there in stated_names.items() if not is_there),
        },
    }


def _end(plan: TrialPlan, rows: Sequence[EvalRow]) -> dict[str, Any]:
    """Derive why a trial ended; AlgoPerf does not write it down."""
    if not rows:
        return {"reason": Reason.UNKNOWN, "step": 0, "message": "the log holds no evaluation"}
    last = rows[-1]
    assert last.seconds is not None
    end = {"step": last.step, "submission_seconds": last.seconds}
    limits = limits_of(plan)
    reason = limits.stop_reason(rows, charged=last.seconds, is_finished=False)
    if reason is not None:
        return {**end, "reason": reason}
    if last.seconds + limits.eval_period >= limits.budget:
        text = "derived: the budget ends before the next evaluation is due"
        return {**end, "reason": Reason.BUDGET, "message": text}
    return {**end, "reason": Reason.UNKNOWN, "message": "the log does not tell why it ended"}


def _count_missing(places: Sequence[TrialPlace], rules: Rules, report: ImportReport) -> None:
    """Count the studies, and the trials of studies, that the rules ask for and are not there."""
    there: dict[tuple[str, str, str], dict[int, int]] = {}
    for place in places:
        studies = there.setdefault((place.ruleset, place.submission, place.workload), {})
        studies[place.study] = studies.get(place.study, 0) + 1
    for (ruleset, submission, workload), studies in sorted(there.items()):
        name = f"{submission} on {workload}"

        def add(kind: str, detail: str, name: str = name, submission: str = submission) -> None:
            where = f"{name}: {detail}"
            report.dirt.append(Dirt(kind=kind, where=where, submission=submission))

        n_trials = rules.trials_per_study(ruleset)
        if len(studies) < rules.studies:
            add("missing studies", f"{len(studies)} of {rules.studies}")
        n_short = sum(n < n_trials for n in studies.values())
        if n_short:
            add("studies with missing trials", f"{n_short}")


def _whole(value: Any) -> int:
    """Give a whole number from JSON; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _seed(value: Any) -> int:
    """Give a seed of 0 or more; AlgoPerf's may be negative and are used modulo 2^32."""
    seed = _whole(value)
    return seed if 0 <= seed < 2**64 else seed % 2**32


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
