"""How fast leaderboards are made: AlgoPerf's competition from its raw logs, and a million trials.

    python -m benchmarks.scoring --logs DIR [--rounds 5]       DIR holds external_tuning

1. `pacebench score` on the logs, a cold process from its start to the printed table, against a
   script that opens the same files with pandas one by one, as AlgoPerf's scorer does, and looks
   for the first evaluation at the target. AlgoPerf's whole scorer takes about 11 s and 10.6
   CPU-seconds on this class of machine (2 cores); goals: a tenth of that, better a twentieth, in
   under 300 MB.
2. `score_runs` on tables of synthetic trials, 250,000 to a million; goals: the million in under
   10 s, with memory that grows linearly.

Each part runs in processes of its own, so that seconds and resident memory are theirs alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.support import spread

ALGOPERF_SECONDS, ALGOPERF_CPU_SECONDS = 11.0, 10.6
"""Of AlgoPerf's own scorer on 2 cores; measured elsewhere, not in this run."""
SCORE = ["-m", "pacebench", "score", "--rules", "algoperf-0.5", "--method", "published"]
BY_FILE = """
import sys
from pathlib import Path
import pandas as pd
from tuning.rules import load_rules
rules = load_rules("algoperf-0.5").workloads
for path in Path(sys.argv[1]).glob("*/*/study_*/*/trial_*/eval_measurements.csv"):
    limits = rules.get(path.parent.parent.name.rpartition("_")[0])
    if limits is None:
        continue
    values = pd.read_csv(path)
    metric = values["validation/" + limits.metric]
    target = limits.validation_target
    met = values[metric >= target if limits.larger_is_better else metric <= target]
    met["score"].iloc[0] if len(met) else None
"""
SYNTHETIC = """
import json, resource, sys, time
from benchmarks.scoring import synthetic_runs
from scoring import score_runs
runs = synthetic_runs(int(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.monotonic()
board = score_runs(runs)
seconds = time.monotonic() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, before / 1024, after / 1024, len(board.table)]))
"""


SAME = {
    **{"framework": "torch", "ruleset": "external", "unit": "seconds", "reason": "target"},
    **{"n_studies": 5, "n_trials": 5, "n_rows": 4, "seed": 0, "batch_size": 1},
    **{"metric": "accuracy", "larger_is_better": True, "target": 0.9, "budget": 100.0},
    **{"hyperparameters": "{}", "meta": "{}", "hardware_class": "synthetic"},
    **dict.fromkeys(("source_hash", "authors", "description", "message", "folder"), ""),
    **{"is_truncated": False, "set_aside": ""},
}
"""What all synthetic trials have in common."""


def synthetic_runs(n_trials: int) -> object:
    """Make the tables of `n_trials` trials with 4 evaluations each: 5 by 5 on 8 workloads."""
    import numpy as np
    import pandas as pd

    from scoring.score_rules import score_rules
    from scoring.tables import Runs, dirt_table
    from tuning.rules import load_rules

    rules = load_rules("algoperf-0.6")
    workloads = np.array(rules.base_workloads)
    at = np.arange(n_trials)
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {
            "submission": np.char.add("submission_", (at // 200).astype(str)),
            "workload": workloads[at // 25 % 8],
            "study": at // 5 % 5,
            "trial": at % 5 + 1,
            "rules": rules.version,
            "deviations": [()] * n_trials,
            **SAME,
        }
    )
    trials.index.name = "trial_id"
    n_rows = 4 * n_trials
    rows = pd.DataFrame(
        {
            "trial_id": np.repeat(at, 4),
            "step": np.tile([1, 2, 3, 4], n_trials),
            "time": np.tile([10.0, 40.0, 70.0, 110.0], n_trials) + rng.random(n_rows),
            "train": np.nan,
            "validation": rng.random(n_rows) ** 0.1,
            "test": np.nan,
            "model_evaluations": np.nan,
        }
    )
    return Runs(
        trials=trials,
        rows=rows,
        dirt=dirt_table([]),
        rules=score_rules(rules, "external"),
        ruleset="external",
        unit="seconds",
    )


def launch(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Run Python; gives wall seconds, CPU seconds and resident MB of its largest process."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments} failed with status {status}")
    wall = time.monotonic() - start
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure_logs(logs: Path, rounds: int) -> None:
    """Measure the competition's leaderboard, taking turns with the reference."""
    ours, reference = [], []
    for _ in range(rounds):
        ours.append(launch([*SCORE, str(logs)]))
        reference.append(launch(["-c", BY_FILE, str(logs)]))
    print("the v0.5 leaderboard from raw logs, a cold process to the printed table")
    for what, i, algoperf in (
        ("wall seconds", 0, ALGOPERF_SECONDS),
        ("CPU seconds", 1, ALGOPERF_CPU_SECONDS),
        ("resident MB", 2, None),
    ):
        one, other = [m[i] for m in ours], [m[i] for m in reference]
        ratio = spread([b / a for a, b in zip(one, other, strict=True)])
        text = f"  {what}: {spread(one)}; pandas file by file {spread(other)}, {ratio} times"
        if algoperf is not None:
            times = algoperf / statistics.median(one)
            text += f"; AlgoPerf's scorer {algoperf} elsewhere, {times:.1f} times"
        print(text)


def measure_synthetic(sizes: Sequence[int]) -> None:
    """Measure scoring of ever more trials in memory."""
    print("synthetic trials, 4 evaluations each, tables in memory to leaderboard")
    for n_trials in sizes:
        command = [sys.executable, "-c", SYNTHETIC, str(n_trials)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, before, after, n = json.loads(done.stdout)
        print(
            f"  {n_trials:9,} trials of {n:5,} submissions: {seconds:.2f} s, "
            f"{seconds / n_trials * 1e6:.2f} s a million; resident {before:.0f} MB with the "
            f"tables, {after:.0f} MB at most"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--logs", type=Path, help="AlgoPerf's logs; without them part 2 alone")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.logs is not None:
        measure_logs(options.logs, options.rounds)
    measure_synthetic([250_000, 500_000, 1_000_000])


if __name__ == "__main__":
    main()
