"""Says in words what keeps a leaderboard from being a full score, deduplicated and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from pacebench.rows import FAILURES
from scoring.checks import hardware_classes
from scoring.score_rules import ScoreRules


def notes_on(trials: pd.DataFrame, rules: ScoreRules) -> tuple[str, ...]:
    """Give the notes on trials (see `scoring.tables`) that are scored together."""
    return (
        *_on_deviations(trials),
        *_on_workloads(trials, rules),
        *_on_hardware(trials),
        *_on_budgets(trials),
        *_on_competition(trials),
        *_on_ends(trials),
        *_on_files(trials),
    )


def _on_deviations(trials: pd.DataFrame) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for deviations, n in Counter(trials["deviations"]).items():
        counts.update(dict.fromkeys(deviations, n))
    for text, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"not a full score: {text} (holds for {_share(n, len(trials))})"


def _on_workloads(trials: pd.DataFrame, rules: ScoreRules) -> Iterator[str]:
    """Compare the workloads with those of a full score, where these are known."""
    run = set(trials["workload"].unique())
    for what, wanted in (
        ("workloads", rules.base_workloads),
        ("held-out variants", tuple(rules.held_out)),
    ):
        lacking = [name for name in wanted if name not in run]
        if lacking:
            yield (
                f"not a full score: {len(wanted) - len(lacking)} of {len(wanted)} {what}; "
                f"without {', '.join(sorted(lacking))}"
            )
    if rules.base_workloads and not run & set(rules.base_workloads):
        yield (
            f"not a full score: averaged over {', '.join(sorted(run))}, "
            f"which a full score of {rules.version} leaves out"
        )


def _on_hardware(trials: pd.DataFrame) -> Iterator[str]:
    classes = hardware_classes(trials)
    if len(classes) > 1:
        found = ", ".join(f"{_count(n, 'trial')} on {name}" for name, n in classes.items())
        yield f"mixed hardware, so times do not compare: {found}"


def _on_budgets(trials: pd.DataFrame) -> Iterator[str]:
    unit = trials["unit"].iloc[0]
    different = trials[["workload", "budget", "submission"]].drop_duplicates()
    for workload, group in different.groupby("workload"):
        by_budget = group.groupby("budget")["submission"].unique()
        if len(by_budget) > 1:
            found = "; ".join(
                f"{budget:g} {unit}: {', '.join(sorted(names))}"
                for budget, names in by_budget.items()
            )
            yield f"different budgets on {workload} ({found})"


def _on_competition(trials: pd.DataFrame) -> Iterator[str]:
    if trials["submission"].nunique() == 1:
        yield (
            "only one submission: it is compared with itself, so the score says only on which "
            "share of the workloads it reached the target"
        )


def _on_ends(trials: pd.DataFrame) -> Iterator[str]:
    is_open = trials["reason"] == ""
    is_failed = trials["reason"].isin([str(reason) for reason in FAILURES])
    for submission, group in trials[is_open | is_failed].groupby("submission"):
        unfinished = group[group["reason"] == ""]
        if len(unfinished):
            n_idle = int((unfinished["n_rows"] == 0).sum())
            idle = f", {n_idle} of them before a first evaluation" if n_idle else ""
            yield f"{submission}: {_unfinished(unfinished)}{idle}"
        for reason, failed in group[group["reason"] != ""].groupby("reason"):
            yield (
                f"{submission}: {_count(len(failed), 'trial')} failed with {reason} "
                f"({_by_workload(failed)})"
            )


def _on_files(trials: pd.DataFrame) -> Iterator[str]:
    n_cut = int(trials["is_truncated"].sum())
    if n_cut:
        yield f"the last evaluation of {_count(n_cut, 'trial')} was cut off and is left out"
    versions = trials[["submission", "source_hash"]].drop_duplicates()
    for submission, n in sorted(Counter(versions["submission"]).items()):
        if n > 1:
            yield f"{submission}: its trials ran {n} different versions of its code"


def _unfinished(trials: pd.DataFrame) -> str:
    verb = "is" if len(trials) == 1 else "are"
    return f"{_count(len(trials), 'trial')} {verb} unfinished ({_by_workload(trials)})"


def _by_workload(trials: pd.DataFrame) -> str:
    counts = Counter(trials["workload"])
    return ", ".join(f"{workload}: {n}" for workload, n in sorted(counts.items()))


def _share(n: int, total: int) -> str:
    return f"all {_count(total, 'trial')}" if n == total else f"{n} of {_count(total, 'trial')}"


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
