"""Write runs and their score as a website that works from disk, without a network.

  pacebench report runs --out site                     then open site/index.html
  pacebench report runs --out site --serve             the same, and show it at once
  pacebench report runs --out site --figures pdf,svg   with figures for papers in site/figures
  pacebench report logs/external_tuning --out site     AlgoPerf's logs, as they are

A leaderboard with intervals and performance profiles, a page for every workload and submission,
and one about how far all this can be trusted. Runs under several rule versions or rulesets get a
leaderboard each. The folder can be put on any static host (docs/report.md). It holds copies of
every trial's plan, evaluations and environment, so it can be checked: pacebench score site/trials
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pacebench.cli.score_command import add_selection_arguments, selection_of

HELP = "write runs and their score as a website"
FORMATS = ("pdf", "svg")


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
    parser.add_argument(
        "--reference",
        metavar="SUBMISSION",
        help="speedups are over this submission (the one named baseline, else the best-ranked)",
    )
    parser.add_argument(
        "--figures",
        type=_formats,
        default=(),
        metavar="FORMATS",
        help="also write figures for papers: pdf, svg, or both with a comma between",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="show the website in a browser of this machine until Ctrl-C",
    )


def run(args: argparse.Namespace) -> int:
    """Write the website and print the path of its first page."""
    from reports.results import results_of
    from reports.site import write_site
    from scoring import METHODS, read_runs, score_runs
    from scoring.read import leaderboard_selections

    results = []
    for selection in leaderboard_selections(args.runs, selection_of(args)):
        runs = read_runs(args.runs, selection)
        board = score_runs(runs, method=METHODS[args.method])
        results.append(results_of(runs, board, args.reference))
    print(write_site(results, args.out, args.figures), flush=True)
    if args.serve:
        from pacebench.cli.serving import serve

        serve(args.out)
    return 0


def _formats(text: str) -> tuple[str, ...]:
    """Read formats of figures, separated by commas."""
    formats = tuple(text.split(","))
    strange = [one for one in formats if one not in FORMATS]
    if strange:
        raise argparse.ArgumentTypeError(
            f"'{strange[0]}' is no format of figures; give {' or '.join(FORMATS)}, "
            f"or {','.join(FORMATS)}"
        )
    return formats
