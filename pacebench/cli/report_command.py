"""Write runs and their score as a website that works from disk, without a network.

  pacebench report runs --out site         then open site/index.html

The page shows the leaderboard with its notes, the performance profiles, and for every workload the
learning curves and all trials with their hyperparameters and ends. The site holds copies of every
trial's plan, evaluations and environment, so it can be checked: pacebench score site/trials
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pacebench.cli.score_command import add_selection_arguments, selection_of

HELP = "write runs and their score as a website"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_selection_arguments(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="the website's folder: new, empty, or an earlier website, which is replaced",
    )


def run(args: argparse.Namespace) -> int:
    """Write the website and print the path of its first page."""
    from reports.site import write_site
    from scoring import METHODS, read_runs, score_runs

    runs = read_runs(args.runs, selection_of(args))
    print(write_site(runs, score_runs(runs, method=METHODS[args.method]), args.out))
    return 0
