"""Write runs as AlgoPerf's log tree, so that its scoring code reads them.

  pacebench export runs --out algoperf_logs

The tree is <ruleset>_tuning/<submission>/study_<k>/<workload>_<framework>/trial_<i>/ with
eval_measurements.csv and the files beside it; times and metrics keep every digit. Trials whose
clock counts steps have no times and are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pacebench.cli.tables import counted, strict_json

HELP = "write runs as AlgoPerf's log tree"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "runs", type=Path, metavar="RUNS", help="a folder of runs, or a part of one"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write it")
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Export, and say what was written and what not."""
    from pacebench.algoperf_export import export_trials
    from scoring.trial_folder import find_trial_folders, no_trials

    folders = find_trial_folders([args.runs])
    if not folders:
        raise no_trials([args.runs])
    report = export_trials(folders, args.out)
    if args.json:
        document = {"trials": report.n_trials, "evaluations": report.n_rows}
        print(strict_json({**document, "notes": report.notes, "folder": str(args.out)}))
        return 0
    print(
        f"wrote {counted(report.n_trials, 'trial')} with "
        f"{counted(report.n_rows, 'evaluation')} to {args.out}"
    )
    for text, n in report.notes.items():
        print(f"note: {counted(n, 'trial')} {text}")
    return 0
