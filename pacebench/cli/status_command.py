"""Show how far the trials of a runs folder are; safe at any time, also while they run.

  pacebench status runs          one line per submission and workload
  pacebench status runs --json   the same for programs, with the last evaluation of every trial

A trial that has neither ended nor runs is waiting: the `pacebench run` command that planned it,
given again, takes it up where its checkpoint is.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacebench.cli.tables import aligned, counted, strict_json

if TYPE_CHECKING:
    from pacebench.plan import TrialPlan

HELP = "show how far the trials of a runs folder are"
RUNNING = "running"
WAITING = "waiting"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "runs", type=Path, metavar="RUNS", help="a folder of runs, or a part of one"
    )
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print where every trial is; exit code 0, whatever became of them."""
    from scoring.trial_folder import find_trial_folders, no_trials, read_plans

    trials = [
        _trial_record(folder, plan) for folder, plan in read_plans(find_trial_folders([args.runs]))
    ]
    if not trials:
        raise no_trials([args.runs])
    groups = _groups(trials)
    if args.json:
        print(strict_json({"groups": groups, "trials": trials}))
        return 0
    print(_table(groups))
    states = Counter(trial["state"] for trial in trials)
    n_ended = len(trials) - states[RUNNING] - states[WAITING]
    print(
        f"\n{counted(len(trials), 'trial')}: {n_ended} ended, {states[RUNNING]} running, "
        f"{states[WAITING]} waiting"
    )
    if states[WAITING] and not states[RUNNING]:
        print("to continue, give the same `pacebench run` command again")
    return 0


def _trial_record(folder: Path, plan: TrialPlan) -> dict[str, Any]:
    from pacebench.store import RunStore

    store = RunStore(folder)
    rows, end = store.rows(), store.end()
    state = RUNNING if store.is_locked() else WAITING
    if end is not None:
        state = str(end.get("reason"))
    key = f"validation/{plan.rules.metric}"
    return {
        "submission": plan.submission,
        "workload": plan.workload,
        "framework": plan.framework,
        "rules": plan.rules.version,
        "ruleset": plan.rules.ruleset,
        "study": plan.study,
        "trial": plan.trial,
        "state": state,
        "message": str((end or {}).get("message", "")),
        "metric": plan.rules.metric,
        "larger_is_better": plan.rules.larger_is_better,
        "target": plan.rules.validation_target,
        "evaluations": len(rows),
        "step": rows[-1].step if rows else 0,
        "seconds": rows[-1].seconds if rows else None,
        "last": rows[-1].metrics.get(key) if rows else None,
        "values": [v for row in rows if math.isfinite(v := row.metrics.get(key, math.nan))],
        "folder": str(folder),
    }


def _groups(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bring the trials of one submission, workload and rules together; takes their `values`."""
    names = ("rules", "ruleset", "submission", "workload", "framework", "metric", "target")
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for trial in trials:
        found.setdefault(tuple(trial[name] for name in names), []).append(trial)
    groups = []
    for key, members in found.items():
        choose = max if members[0]["larger_is_better"] else min
        values = [v for trial in members for v in trial.pop("values")]
        states = Counter(trial["state"] for trial in members)
        groups.append(
            {
                **dict(zip(names, key, strict=True)),
                "trials": len(members),
                "running": states.pop(RUNNING, 0),
                "waiting": states.pop(WAITING, 0),
                "ended": dict(sorted(states.items())),
                "best": choose(values) if values else None,
                "last_step": max(trial["step"] for trial in members),
            }
        )
    return groups


def _table(groups: Sequence[dict[str, Any]]) -> str:
    header = ["submission", "workload", "trials", "ended", "running", "waiting", "best", "target"]
    is_mixed = len({(g["rules"], g["ruleset"]) for g in groups}) > 1
    rows = []
    for group in groups:
        ended = ", ".join(f"{n} {reason}" for reason, n in group["ended"].items())
        best = "" if group["best"] is None else f"{group['metric']} {group['best']:.5g}"
        name = f"{group['rules']}/{group['ruleset']}: " if is_mixed else ""
        rows.append(
            [
                name + group["submission"],
                f"{group['workload']} ({group['framework']})",
                str(group["trials"]),
                ended,
                str(group["running"]),
                str(group["waiting"]),
                best,
                f"{group['target']:g}",
            ]
        )
    return aligned(header, rows, right=("trials", "running", "waiting", "target"))
