"""The typed tables that everything here is computed from, and what goes with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from scoring.score_rules import ScoreRules

TRIAL_COLUMNS = {
    "submission": "str",
    "framework": "str",
    "workload": "str",
    "study": "int64",  # counted from 0
    "trial": "int64",
    "n_studies": "int64",  # planned
    "n_trials": "int64",  # planned, per study
    "rules": "str",  # the rules' version
    "ruleset": "str",  # external or self
    "unit": "str",  # of all times: seconds or steps
    "metric": "str",  # without split
    "larger_is_better": "bool",
    "target": "float64",  # of the validation metric
    "budget": "float64",  # in the unit
    "hyperparameters": "str",  # JSON
    "seed": "uint64",
    "batch_size": "int64",
    "source_hash": "str",  # sha256 of the submission's code; empty if not known
    "fairplay": "str",  # the verdict on that code: clean, warnings, denied or unknown
    "authors": "str",
    "description": "str",
    "deviations": "object",  # tuple of str: what makes a score not a full score
    "hardware_class": "str",  # empty if the trial has not started
    "reason": "str",  # why it ended; empty while it has not
    "message": "str",  # what the end says beside the reason
    "n_rows": "int64",
    "is_truncated": "bool",  # whether a cut-off last line was left out
    "meta": "str",  # the environment as JSON, keys sorted
    "folder": "str",  # absolute path
    "set_aside": "str",  # why the trial does not count; empty if it does
}
"""Columns and dtypes of the table of trials; one row per trial, indexed by `trial_id`."""

FAIRPLAY_UNKNOWN = "unknown"
"""Of a library's class, whose code nobody read, and of runs that were imported."""

ROW_COLUMNS = {
    "trial_id": "int64",
    "step": "int64",  # the evaluation was made after this step
    "time": "float64",  # charged so far, in the unit
    "train": "float64",  # the target metric on each split; NaN if not finite, absent or not read
    "validation": "float64",
    "test": "float64",
    "model_evaluations": "float64",  # calls of the model so far; NaN where not logged
}
"""Columns and dtypes of the table of evaluations, sorted by trial and step."""

DIRT_COLUMNS = {"kind": "str", "submission": "str", "where": "str", "effect": "str"}
"""Columns and dtypes of the table of what is not as it should be in the runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """Trials that can be scored against each other, with their evaluations."""

    trials: pd.DataFrame
    """See TRIAL_COLUMNS; sorted by submission, workload, framework, study and trial."""
    rows: pd.DataFrame
    """See ROW_COLUMNS."""
    dirt: pd.DataFrame
    """See DIRT_COLUMNS."""
    rules: ScoreRules
    ruleset: str
    unit: str
    """"seconds" or "steps"."""


def typed(records: Iterable[Mapping[str, object]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Give records as a table of exactly these columns and dtypes."""
    return pd.DataFrame(list(records), columns=list(columns)).astype(columns)


def dirt_table(records: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Give records of dirt as a table, sorted, each once."""
    table = typed(records, DIRT_COLUMNS).drop_duplicates()
    return table.sort_values(list(DIRT_COLUMNS), ignore_index=True)
