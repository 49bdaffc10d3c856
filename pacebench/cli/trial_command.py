"""Run (or resume) the one trial that is planned in a folder.

`pacebench run` starts one such process per trial; a cluster's job array may do the same.
The last line of the output is why the trial ended.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "run one planned trial"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("folder", type=Path, help="trial folder that holds trial.json")
    parser.add_argument("--cores", metavar="IDS", help="CPU cores to run on, like 0,1")
    parser.add_argument("--gpus", metavar="IDS", help="GPUs to run on, like 0,1")


def run(args: argparse.Namespace) -> int:
    """Run the trial; exit code 0 if it ended or was interrupted, 1 if it failed."""
    from pacebench.rows import FAILURES
    from pacebench.supervisor import supervise

    resources = {
        "cores": [int(c) for c in args.cores.split(",")] if args.cores else [],
        "gpus": args.gpus.split(",") if args.gpus else [],
    }
    end = supervise(args.folder.resolve(), resources)
    if end is None:
        print(f"interrupted; continue with: pacebench trial {args.folder}")
        return 130
    print(f"{args.folder}: {end['reason']} at step {end['step']} {end.get('message', '')}".strip())
    return 1 if end["reason"] in set(FAILURES) else 0
