"""AlgoPerf's log tree: the names of its folders, files and columns, and its CSV files.

    <logs>/<ruleset>_tuning/<submission>/study_<k>/<workload>_<framework>/trial_<i>/
        eval_measurements.csv   one row per evaluation       hparams.json      external tuning only
        measurements.csv        the same, training's metrics, a final row
        meta_data_0.json        machine and workload         flags_0.json      the command line

Source: AlgoPerf v0.5.0 and v0.6, logger_utils.py and submission_runner.py, and the published logs.
`pacebench.algoperf_import` and `pacebench.algoperf_export` read and write it.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pacebench.clock import Section
from pacebench.errors import LogsError
from pacebench.spec import SPLITS

EVAL_FILE = "eval_measurements.csv"
ALL_FILE = "measurements.csv"
HYPERPARAMETERS_FILE = "hparams.json"
META_PREFIX = "meta_data_"
FLAGS_PREFIX = "flags_"
TUNING_SUFFIX = "_tuning"

SUFFIX_OF = {"torch": "pytorch", "jax": "jax"}
"""What AlgoPerf calls the frameworks, also at the end of a workload folder's name."""
FRAMEWORK_OF = {suffix: framework for framework, suffix in SUFFIX_OF.items()}

STEP = "global_step"
SCORE = "score"
"""Equal to the submission time in every published row."""
SECONDS_OF = {
    "accumulated_submission_time": Section.SUBMISSION,
    "accumulated_eval_time": Section.EVALUATION,
    "accumulated_logging_time": Section.LOGGING,
}
"""The columns of seconds, and the sections of our clock that they are."""
TOTAL = "total_duration"
PREEMPTIONS = "preemption_count"
N_EXAMPLES = "num_examples"
"""<split>/num_examples is a size, no metric; there is none for train."""
SIZE_OF = {
    "num_train_examples": "train",
    "num_eval_train_examples": "eval_train",
    "num_validation_examples": "validation",
    "num_test_examples": "test",
}
"""What meta_data_<p>.json calls the sizes of our splits, after "workload."."""


def is_metric(column: str) -> bool:
    """Whether a column holds a metric: "<split>/<metric>".

    >>> [is_metric(c) for c in ("validation/loss", "validation/num_examples", "score")]
    [True, False, False]
    """
    split, _, metric = column.partition("/")
    return split in SPLITS and bool(metric) and metric != N_EXAMPLES


def rows_in_order(steps: Sequence[float], preemptions: Sequence[float]) -> list[int]:
    """Give which rows of a trial count, in the order of their steps.

    After a preemption AlgoPerf goes back to its checkpoint and makes steps again: rows that a
    later process made stand for those of an earlier one from that step on.

    >>> rows_in_order([1, 10, 30, 20, 25], [0, 0, 0, 1, 1])
    [0, 1, 3, 4]
    """
    order = sorted(range(len(steps)), key=lambda i: (preemptions[i], steps[i]))
    kept: list[int] = []
    for i in reversed(order):
        if not kept or steps[i] < steps[kept[-1]]:
            kept.append(i)
    return kept[::-1]


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records with their columns in alphabetical order; absent values and NaN stay blank."""
    columns = sorted({name for record in records for name in record})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in record.items()} for record in records)


def read_csv(path: Path) -> tuple[list[dict[str, str]], int]:
    """Read records as texts; gives them and how many lines were cut off or too long.

    Raises LogsError if the file is no text of lines with cells.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LogsError(f"cannot read {path}: {error}") from error
    if not lines:
        return [], 0
    header, *rest = lines
    whole = [line for line in rest if len(line) == len(header)]
    return [dict(zip(header, line, strict=True)) for line in whole], len(rest) - len(whole)


def read_json_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if there is no file. Raises LogsError if it is anything else."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise LogsError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise LogsError(f"{path} holds no JSON object")
    return value


def number(text: str | None) -> float:
    """Give the number in a cell; NaN for a blank one and for what is no number."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value
