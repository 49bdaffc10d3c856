"""Refuses to score together what cannot be compared, and says what is there instead."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from pacebench.errors import LogsError


def check_comparable(trials: pd.DataFrame, *, is_mixed_hardware_allowed: bool) -> None:
    """Raise LogsError if trials (of one rules version and ruleset) must not be compared."""
    _check_clocks(trials)
    _check_twins(trials)
    _check_targets(trials)
    if not is_mixed_hardware_allowed:
        _check_hardware(trials)


def hardware_classes(trials: pd.DataFrame) -> dict[str, int]:
    """Give the number of started trials by hardware class, by name; unstarted ones have none."""
    started = trials.loc[trials["hardware_class"] != "", "hardware_class"]
    counts = started.value_counts()
    return {str(name): int(n) for name, n in sorted(counts.items())}


def _check_clocks(trials: pd.DataFrame) -> None:
    counts = Counter(trials["unit"])
    if len(counts) > 1:
        kinds = ", ".join(f"{n} trials charged in {unit}" for unit, n in sorted(counts.items()))
        raise LogsError(f"different clocks have no common score: {kinds}; score them apart")


def _check_twins(trials: pd.DataFrame) -> None:
    identity = ["submission", "workload", "framework", "study", "trial"]
    for _, twins in trials[trials.duplicated(identity, keep=False)].groupby(identity):
        one, other = twins["folder"].iloc[0], twins["folder"].iloc[1]
        raise LogsError(f"the same trial is there twice, in {one} and {other}; give only one")


def _check_targets(trials: pd.DataFrame) -> None:
    different = trials[["workload", "metric", "target"]].drop_duplicates()
    for workload, group in different.groupby("workload"):
        if len(group) > 1:
            texts = zip(group["metric"], group["target"], strict=True)
            targets = sorted(f"{metric} {target:g}" for metric, target in texts)
            raise LogsError(
                f"workload '{workload}' was run to different targets ({', '.join(targets)}); "
                "times to different targets have no common score: score the folders apart"
            )


def _check_hardware(trials: pd.DataFrame) -> None:
    classes = hardware_classes(trials)
    if len(classes) > 1:
        found = ", ".join(f"{n} on {name}" for name, n in classes.items())
        raise LogsError(
            f"trials ran on different hardware ({found}); their times do not compare: "
            "score the folders apart, or give --allow-mixed-hardware, which is then shown"
        )
