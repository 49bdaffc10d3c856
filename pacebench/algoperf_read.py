"""Reads the files of one trial in AlgoPerf's log tree (`pacebench.algoperf_logs`).

Whatever is not as it should be becomes a piece of dirt, with its place, and reading goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacebench import algoperf_logs as logs
from pacebench.algoperf_tree import Dirt, TrialPlace
from pacebench.clock import Section
from pacebench.errors import LogsError
from pacebench.rows import EvalRow


@dataclass(kw_only=True, slots=True)
class ImportReport:
    """What was imported, and all dirt that was met; grows while the logs are read."""

    n_trials: int = 0
    n_rows: int = 0
    n_there_already: int = 0
    dirt: list[Dirt] = field(default_factory=list)

    def add(self, kind: str, place: TrialPlace, detail: str = "") -> None:
        """Count a piece of dirt in a trial."""
        where = f"{place.name}: {detail}" if detail else place.name
        self.dirt.append(Dirt(kind=kind, where=where, submission=place.submission))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialLogs:
    """What the files of one trial tell."""

    rows: tuple[EvalRow, ...]
    timing: tuple[dict[str, float], ...]
    sizes: Mapping[str, int]
    hyperparameters: Mapping[str, Any]
    meta: Mapping[str, Any]
    flags: Mapping[str, Any]


def read_trial(place: TrialPlace, report: ImportReport) -> TrialLogs:
    """Read what the files of one trial tell."""
    records = _read_records(place, report)
    rows, timing = _rows_of(records, place, report)
    meta = _object(_newest(Path(place.folder), logs.META_PREFIX), place, report)
    hyperparameters = _object(Path(place.folder) / logs.HYPERPARAMETERS_FILE, place, report)
    if place.ruleset == "external" and not hyperparameters:
        report.add(f"no {logs.HYPERPARAMETERS_FILE}", place)
    return TrialLogs(
        rows=tuple(rows),
        timing=tuple(timing),
        sizes=_sizes(records, meta),
        hyperparameters=hyperparameters,
        meta=meta,
        flags=_object(_newest(Path(place.folder), logs.FLAGS_PREFIX), place, report),
    )


def _read_records(place: TrialPlace, report: ImportReport) -> list[dict[str, str]]:
    path = Path(place.folder) / logs.EVAL_FILE
    if not path.is_file():
        report.add(f"no {logs.EVAL_FILE}", place)
        return []
    try:
        records, n_damaged = logs.read_csv(path)
    except LogsError as error:
        report.add(f"damaged {logs.EVAL_FILE}", place, f"{error}")
        return []
    if n_damaged:
        report.add("damaged line", place, f"{n_damaged}")
    if not records:
        report.add(f"{logs.EVAL_FILE} without evaluations", place)
    return records


def _rows_of(
    records: Sequence[Mapping[str, str]], place: TrialPlace, report: ImportReport
) -> tuple[list[EvalRow], list[dict[str, float]]]:
    """Give the evaluations and the clocks, in the order of their steps."""
    whole = [r for r in records if math.isfinite(_step(r)) and math.isfinite(_seconds(r))]
    if len(whole) < len(records):
        report.add("damaged line", place, f"{len(records) - len(whole)} without step or time")
    preemptions = [logs.number(record.get(logs.PREEMPTIONS)) for record in whole]
    order = logs.rows_in_order(
        [_step(record) for record in whole], [0 if math.isnan(p) else p for p in preemptions]
    )
    if len(order) < len(whole):
        report.add("steps made again", place, f"{len(whole) - len(order)} evaluations replaced")
    rows: list[EvalRow] = []
    timing: list[dict[str, float]] = []
    for record in (whole[i] for i in order):
        step, seconds = int(_step(record)), _seconds(record)
        metrics = {k: logs.number(v) for k, v in record.items() if logs.is_metric(k)}
        rows.append(EvalRow(step=step, seconds=seconds, metrics=metrics))
        spent = {s: logs.number(record.get(column)) for column, s in logs.SECONDS_OF.items()}
        spent[Section.SUBMISSION] = seconds
        timing.append({"step": step, **{s: v for s, v in spent.items() if math.isfinite(v)}})
    n_blank = sum(not math.isfinite(v) for row in rows for v in row.metrics.values())
    if n_blank:
        report.add("blank or not finite values", place, str(n_blank))
    return rows, timing


def _step(record: Mapping[str, str]) -> float:
    return logs.number(record.get(logs.STEP))


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
        report.add("damaged JSON", place, f"{error}")
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
