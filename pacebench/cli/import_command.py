"""Read AlgoPerf's logs into a runs folder, to score and show them.

  pacebench import algoperf_logs --out runs
  pacebench import v06_logs --out runs --rules algoperf-0.6
  pacebench score runs --rules algoperf-0.5

LOGS holds external_tuning or self_tuning, or is one of them. Targets and budgets come from the
rules, and where a log says that it ran with others, its trial says so. What is missing or damaged
in the logs is counted and shown; --json names every place.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench.cli.tables import counted, printable, strict_json

if TYPE_CHECKING:
    from pacebench.algoperf_read import ImportReport

HELP = "read AlgoPerf's logs into a runs folder"
N_EXAMPLES = 2
"""How many places of each kind of dirt are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("logs", type=Path, metavar="LOGS", help="a folder of AlgoPerf's logs")
    parser.add_argument("--out", type=Path, required=True, metavar="RUNS", help="runs folder")
    parser.add_argument(
        "--rules", default="algoperf-0.5", help="rule version or a .toml file (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Import, and say what was found; dirt is no error."""
    from pacebench.algoperf_import import import_logs
    from tuning.rules import load_rules

    report = import_logs(args.logs, args.out, load_rules(args.rules))
    places = _places_by_kind(report)
    if args.json:
        document = {
            "trials": report.n_trials,
            "evaluations": report.n_rows,
            "there_already": report.n_there_already,
            "dirt": places,
        }
        print(strict_json(document))
        return 0
    print(
        f"imported {counted(report.n_trials, 'trial')} with "
        f"{counted(report.n_rows, 'evaluation')} to {args.out}"
    )
    if report.n_there_already:
        print(f"{counted(report.n_there_already, 'trial')} had been imported before")
    for kind, where in places.items():
        shown = "; ".join(printable(text) for text in where[:N_EXAMPLES])
        more = f"; and {len(where) - N_EXAMPLES} more" if len(where) > N_EXAMPLES else ""
        print(f"note: {kind} ({len(where)}): {shown}{more}")
    return 0


def _places_by_kind(report: ImportReport) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for dirt in report.dirt:
        places.setdefault(dirt.kind, []).append(dirt.where)
    return dict(sorted(places.items()))
