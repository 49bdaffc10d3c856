"""Score runs or AlgoPerf's logs: who reached the targets first, and how sure that is.

  pacebench score runs                         the leaderboard, what it lacks, and how sure it is
  pacebench score logs/external_tuning --rules algoperf-0.5 --method published
                                               AlgoPerf's own scores from its raw logs
  pacebench score runs --explain               where exact and published scores differ, and why
  pacebench score runs --how-sure              all of the uncertainty: pairs, leave-one-out, …
  pacebench score runs --json                  the same for programs
  pacebench score runs --csv board.csv         every time, ratio and best hyperparameter point

exact: a trial's time is the submission time of its first evaluation at the target and within the
budget; a study's is the least over its trials; a workload's is the median over the planned
studies, where a missing study is a miss. Each time is divided by the best of all submissions on
that workload; a miss on a held-out variant makes its workload a miss where the rules say so. The
score (0 to 1) is the area under the share of workloads within a factor tau of the best, for tau
from 1 to 4. published: what AlgoPerf's scoring code does instead. docs/scoring.md has an example.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacebench.cli.tables import strict_json
from pacebench.errors import LogsError

if TYPE_CHECKING:
    from scoring import Runs, RunSelection, Scoreboard
    from scoring.bootstrap import Sureness

HELP = "score runs or AlgoPerf's logs: who reached the targets first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_selection_arguments(parser)
    parser.add_argument(
        "--strict", action="store_true", help="list what is not as it should be, and refuse it"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say cell by cell why the exact and the published score of a submission differ",
    )
    parser.add_argument(
        "--how-sure", action="store_true", help="print everything about uncertainty"
    )
    parser.add_argument(
        "--reference",
        metavar="SUBMISSION",
        help="with --how-sure: speedups over this submission (the best-ranked one)",
    )
    parser.add_argument(
        "--csv",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the leaderboard as CSV; without FILE to the screen, instead of a table",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--table", action="store_true", help="print the leaderboard's table alone")
    form.add_argument("--latex", action="store_true", help="print the table as LaTeX (booktabs)")
    form.add_argument("--json", action="store_true", help="print strict JSON instead of a table")


def add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which runs are scored, and how."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUNS",
        help="a folder of runs or of AlgoPerf's logs, or a part of one",
    )
    parser.add_argument(
        "--rules",
        metavar="VERSION",
        help="score by these rules (a version or a .toml file); AlgoPerf's logs by algoperf-0.5",
    )
    parser.add_argument(
        "--ruleset",
        choices=("external", "self"),
        help="score only trials under this tuning ruleset",
    )
    parser.add_argument(
        "--method",
        choices=("exact", "published"),
        default="exact",
        help="the documented definition, or AlgoPerf's own code (%(default)s)",
    )
    parser.add_argument(
        "--allow-mixed-hardware",
        action="store_true",
        help="compare times from different hardware classes, and say so",
    )


def selection_of(args: argparse.Namespace, *, with_hyperparameters: bool = True) -> RunSelection:
    """Give the selection that the options ask for."""
    from scoring import RunSelection

    return RunSelection(
        rules=args.rules,
        ruleset=args.ruleset,
        is_mixed_hardware_allowed=args.allow_mixed_hardware,
        with_hyperparameters=with_hyperparameters,
    )


def run(args: argparse.Namespace) -> int:
    """Print the leaderboard."""
    if args.csv == "-" and (args.json or args.latex or args.table):
        raise LogsError("--csv without a file writes to the screen alone; give it a file")
    from scoring import read_runs

    is_for_programs = args.json or args.csv is not None
    runs = read_runs(args.runs, selection_of(args, with_hyperparameters=is_for_programs))
    if args.strict:
        _refuse_dirt(runs)
    from scoring import METHODS, score_runs  # after the reading, which goes on meanwhile

    board = score_runs(runs, method=METHODS[args.method])
    if args.csv:
        csv = board.table.to_csv(index=False, lineterminator="\n")
        if args.csv == "-":
            print(csv, end="")
            return 0
        Path(args.csv).write_text(csv, encoding="utf-8", newline="")
    from scoring.bootstrap import how_sure

    sure = how_sure(board)
    if args.json:
        print(strict_json(_document(args, runs, board, sure)))
    else:
        for text in _texts(args, runs, board, sure):
            print(text)
    return 0


def _refuse_dirt(runs: Runs) -> None:
    from pacebench.cli.score_text import dirt_list
    from scoring.dirt import NO_EFFECT

    refused = runs.dirt[runs.dirt["effect"] != NO_EFFECT]
    if len(refused):
        print(dirt_list(refused), file=sys.stderr)
        raise LogsError(
            f"--strict: {len(refused)} things are not as they should be, listed above; "
            "without --strict they are scored as they are"
        )


def _texts(args: argparse.Namespace, runs: Runs, board: Scoreboard, sure: Sureness) -> list[str]:
    from pacebench.cli import score_text
    from scoring.sensitivity import order_changes

    if args.latex:
        return [score_text.latex(board, sure)]
    if args.table:
        return [score_text.leaderboard(board, sure)]
    texts = [
        score_text.header(board),
        "",
        score_text.leaderboard(board, sure),
        "",
        f"time to target in {board.unit}, median over the studies",
        score_text.times(board),
        "",
        *score_text.notes(board),
        *score_text.how_sure(sure, order_changes(board)),
    ]
    if args.how_sure:
        from pacebench.cli.sureness_text import sections

        texts += sections(runs, board, sure, args.reference)
    if args.explain:
        from scoring.explain import explain

        texts += ["", *score_text.explanation(explain(runs), list(board.table["submission"]))]
    return texts


def _document(
    args: argparse.Namespace, runs: Runs, board: Scoreboard, sure: Sureness
) -> dict[str, Any]:
    from scoring import leaderboard_records
    from scoring.explain import explain
    from scoring.sensitivity import order_changes

    intervals = sure.table.set_index("submission")
    rows = [
        {**row, **intervals.loc[row["submission"]].to_dict()} for row in leaderboard_records(board)
    ]
    document: dict[str, Any] = {
        "leaderboard": rows,
        "notes": list(board.notes),
        "dirt": board.dirt.to_dict("records"),
        "is_full_score": board.is_full_score,
        "unit": board.unit,
        "rules": board.rules,
        "ruleset": board.ruleset,
        "method": board.method.name,
        "tau_max": board.tau_max,
        "resamples": sure.n_resamples if sure.n_studies > 1 else 0,
        "order_changes": order_changes(board).to_dict("records"),
    }
    if args.how_sure:
        from scoring.sureness_tables import sureness_tables

        found = sureness_tables(runs, board, args.reference)
        document["how_sure"] = {"pairs": sure.pairs.to_dict("index")} | {
            name: table.to_dict("records") for name, table in found.items()
        }
    if args.explain:
        document["explain"] = explain(runs).to_dict("records")
    return document
