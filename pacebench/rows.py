"""The rows a trial writes: names of files and fields that runs and scoring share.

A trial folder lies below the runs folder at
<rules>/<ruleset>_tuning/<submission>/study_<k>/<workload>_<framework>/trial_<i> and holds
trial.json (the plan), rows.jsonl (one EvalRow a line), timing.jsonl, meta.json and end.json, and
fairplay.json where there is source to be judged, and search_space.json where points were drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

PLAN_FILE = "trial.json"
ROWS_FILE = "rows.jsonl"
LOST_ROWS_FILE = "rows.lost.jsonl"
METRICS_FILE = "metrics.jsonl"
TIMING_FILE = "timing.jsonl"
MODEL_EVALUATIONS = "model_evaluations"
"""What a submission may log to METRICS_FILE: how often it called the model in training so far."""
META_FILE = "meta.json"
END_FILE = "end.json"
FAIRPLAY_FILE = "fairplay.json"
SPACE_FILE = "search_space.json"
"""The verdict on the submission's source, beside its copy (`pacebench.fairplay.verdict`)."""
SITE_MARKER = ".pacebench-site"
"""The file in the top folder of a report's website; a website holds copies of trials."""


class Reason(StrEnum):
    """Why a trial ended."""

    TARGET = "target"
    BUDGET = "budget"
    MAX_STEPS = "max_steps"
    FINISHED = "finished"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    ERROR = "error"
    HUNG = "hung"
    KILLED = "killed"
    UNKNOWN = "unknown"
    """Of imported logs that do not tell; a trial of ours always has another."""


FAILURES = frozenset({Reason.OUT_OF_MEMORY, Reason.ERROR, Reason.HUNG, Reason.KILLED})
"""Ends that are the submission's fault or a fault of the machine; the exit code tells them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalRow:
    """One evaluation: the step it was made after, the time charged so far, and its metrics."""

    step: int
    seconds: float | None
    """Submission seconds charged so far; None where the clock counts steps."""
    metrics: Mapping[str, float]
    """By "<split>/<metric>", the splits being train, validation and test; may hold NaN."""

    def to_json(self) -> str:
        """Give the row as one line of JSON; numbers that are not finite become null."""
        metrics = {k: v if math.isfinite(v) else None for k, v in sorted(self.metrics.items())}
        row: dict[str, Any] = {"step": self.step}
        if self.seconds is not None:
            row["seconds"] = self.seconds
        return json.dumps({**row, "metrics": metrics}, allow_nan=False)

    @staticmethod
    def from_json(line: str | bytes) -> EvalRow:
        """Read a line that `to_json` wrote; null becomes NaN. Raises ValueError or KeyError."""
        row = json.loads(line)
        metrics = {k: math.nan if v is None else float(v) for k, v in row["metrics"].items()}
        return EvalRow(step=int(row["step"]), seconds=row.get("seconds"), metrics=metrics)
