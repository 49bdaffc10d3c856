"""Finds the trials in AlgoPerf's log tree (`pacebench.algoperf_logs`) and reads their files.

Whatever is not as it should be becomes a piece of dirt, with its place, and reading goes on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacebench import algoperf_logs as logs
from pacebench.clock import Section
from pacebench.errors import LogsError
from pacebench.rows import EvalRow
from tuning.rules import RULESETS

_STUDY = re.compile(r"study_(\d+)")
_TRIAL = re.compile(r"trial_(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dirt:
    """Something in the logs that is not as it should be."""

    kind: str
    where: str
    """The path below the logs, and details."""


@dataclass(kw_only=True, slots=True)
class ImportReport:
    """What was imported, and all dirt that was met; grows while the logs are read."""

    n_trials: int = 0
    n_rows: int = 0
    n_there_already: int = 0
    dirt: list[Dirt] = field(default_factory=list)

    def add(self, kind: str, where: str) -> None:
        """Count a piece of dirt."""
        self.dirt.append(Dirt(kind=kind, where=where))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPlace:
    """Where a trial lies in the tree."""

    folder: Path
    name: str
    """The path below the logs."""
    ruleset: str
    submission: str
    study: int
    workload: str
    framework: str
    trial: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialLogs:
    """What the files of one trial tell."""

    rows: tuple[EvalRow, ...]
    timing: tuple[dict[str, float], ...]
    sizes: Mapping[str, int]
    hyperparameters: Mapping[str, Any]
    meta: Mapping[str, Any]
    flags: Mapping[str, Any]


def find_trials(path: Path, report: ImportReport) -> Iterator[TrialPlace]:
    """Give the places of all trials below `path`, sorted; raises LogsError if it holds no logs."""
    for top in _tunings(path):
        base = top.parent
        ruleset = top.name.removesuffix(logs.TUNING_SUFFIX)
        for submission in _folders(top, base, report):
            for study_folder in _folders(submission, base, report):
                study = _STUDY.fullmatch(study_folder.name)
                if study is None:
                    report.add("folder that is no study", str(study_folder.relative_to(base)))
                    continue
                for workload_folder in _folders(study_folder, base, report):
                    for folder, workload, framework, trial in _trials(
                        workload_folder, base, report
                    ):
                        yield TrialPlace(
                            folder=folder,
                            name=str(folder.relative_to(base)),
                            ruleset=ruleset,
                            submission=submission.name,
                            study=int(study.group(1)),
                            workload=workload,
                            framework=framework,
                            trial=trial,
                        )


def _tunings(path: Path) -> list[Path]:
    names = [f"{ruleset}{logs.TUNING_SUFFIX}" for ruleset in RULESETS]
    top = path.resolve()
    found = [top] if top.name in names else [top / name for name in names]
    found = [folder for folder in found if folder.is_dir()]
    if not found:
        raise LogsError(
            f"no AlgoPerf logs in {path}: it holds neither {' nor '.join(names)}, with "
            "<submission>/study_<k>/<workload>_<framework>/trial_<i> below"
        )
    return found


def _folders(parent: Path, base: Path, report: ImportReport) -> list[Path]:
    """Give the folders in a folder, sorted; files at these levels are dirt."""
    entries = sorted(parent.iterdir())
    for entry in entries:
        if not entry.is_dir():
            report.add("loose file", str(entry.relative_to(base)))
    return [entry for entry in entries if entry.is_dir()]


def _trials(folder: Path, base: Path, report: ImportReport) -> Iterator[tuple[Path, str, str, int]]:
    """Give (folder, workload, framework, trial) below a workload folder."""
    workload, _, suffix = folder.name.rpartition("_")
    if suffix not in logs.FRAMEWORK_OF or not workload:
        report.add("folder that is no workload", str(folder.relative_to(base)))
        return
    n_trials = 0
    for entry in sorted(folder.iterdir()):
        trial = _TRIAL.fullmatch(entry.name)
        if trial is not None and entry.is_dir():
            n_trials += 1
            yield entry, workload, logs.FRAMEWORK_OF[suffix], int(trial.group(1))
        elif entry.is_dir():
            report.add("folder that is no trial", str(entry.relative_to(base)))
    if not n_trials:
        report.add("workload folder without trials", str(folder.relative_to(base)))


def read_trial(place: TrialPlace, report: ImportReport) -> TrialLogs:
    """Read what the files of one trial tell."""
    records = _read_records(place, report)
    rows, timing = _rows_of(records, place, report)
    meta = _object(_newest(place.folder, logs.META_PREFIX), place, report)
    hyperparameters = _object(place.folder / logs.HYPERPARAMETERS_FILE, place, report)
    if place.ruleset == "external" and not hyperparameters:
        report.add(f"no {logs.HYPERPARAMETERS_FILE}", place.name)
    return TrialLogs(
        rows=tuple(rows),
        timing=tuple(timing),
        sizes=_sizes(records, meta),
        hyperparameters=hyperparameters,
        meta=meta,
        flags=_object(_newest(place.folder, logs.FLAGS_PREFIX), place, report),
    )


def _read_records(place: TrialPlace, report: ImportReport) -> list[dict[str, str]]:
    path = place.folder / logs.EVAL_FILE
    if not path.is_file():
        report.add(f"no {logs.EVAL_FILE}", place.name)
        return []
    try:
        records, n_damaged = logs.read_csv(path)
    except LogsError as error:
        report.add(f"damaged {logs.EVAL_FILE}", f"{place.name}: {error}")
        return []
    if n_damaged:
        report.add("damaged line", f"{place.name}: {n_damaged}")
    if not records:
        report.add(f"{logs.EVAL_FILE} without evaluations", place.name)
    return records


def _rows_of(
    records: Sequence[Mapping[str, str]], place: TrialPlace, report: ImportReport
) -> tuple[list[EvalRow], list[dict[str, float]]]:
    """Give the evaluations and the clocks; a later row at an earlier step replaces what follows it.

    (After a preemption AlgoPerf goes back to its checkpoint and makes the steps again.)
    """
    rows: list[EvalRow] = []
    timing: list[dict[str, float]] = []
    n_blank = 0
    for record in records:
        step, seconds = logs.number(record.get(logs.STEP)), _seconds(record)
        if not (math.isfinite(step) and math.isfinite(seconds)):
            report.add("damaged line", f"{place.name}: no step or no time")
            continue
        metrics = {k: logs.number(v) for k, v in record.items() if logs.is_metric(k)}
        n_blank += sum(not math.isfinite(v) for v in metrics.values())
        if rows and rows[-1].step >= step:
            report.add("steps made again", f"{place.name}: from step {int(step)}")
            rows = [row for row in rows if row.step < step]
            timing = [sections for sections in timing if sections["step"] < step]
        rows.append(EvalRow(step=int(step), seconds=seconds, metrics=metrics))
        spent = {s: logs.number(record.get(column)) for column, s in logs.SECONDS_OF.items()}
        spent[Section.SUBMISSION] = seconds
        timing.append({"step": int(step), **{s: v for s, v in spent.items() if math.isfinite(v)}})
    if n_blank:
        report.add("blank or not finite values", f"{place.name}: {n_blank}")
    return rows, timing


def _seconds(record: Mapping[str, str]) -> float:
    seconds = logs.number(record.get("accumulated_submission_time"))
    return seconds if math.isfinite(seconds) else logs.number(record.get(logs.SCORE))


def _object(path: Path | None, place: TrialPlace, report: ImportReport) -> dict[str, Any]:
    """Read a JSON object; empty if there is none, or (counted) if it is damaged."""
    if path is None:
        return {}
    try:
        return logs.read_json_object(path) or {}
    except LogsError as error:
        report.add("damaged JSON", f"{place.name}: {error}")
        return {}


def _newest(folder: Path, prefix: str) -> Path | None:
    """Give the file <prefix><p>.json with the largest p, which the newest process wrote."""
    numbered = {
        int(text): path
        for path in folder.glob(f"{prefix}*.json")
        if (text := path.stem.removeprefix(prefix)).isdecimal()
    }
    return numbered[max(numbered)] if numbered else None


def _sizes(records: Sequence[Mapping[str, str]], meta: Mapping[str, Any]) -> dict[str, int]:
    sizes = {}
    for name, split in logs.SIZE_OF.items():
        value = meta.get(f"workload.{name}")
        if isinstance(value, int):
            sizes[split] = value
    for split in ("validation", "test"):
        size = logs.number(records[0].get(f"{split}/{logs.N_EXAMPLES}")) if records else math.nan
        if math.isfinite(size):
            sizes.setdefault(split, int(size))
    return dict(sorted(sizes.items()))
