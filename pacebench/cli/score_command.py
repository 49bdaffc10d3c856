"""Score runs: who reached the targets first, as a table.

  pacebench score runs                     a table, then what keeps it from being a full score
  pacebench score runs --json              the same for programs
  pacebench score runs --csv board.csv     every time, ratio and best hyperparameter point

A trial's time is the submission time of its first evaluation at the target and within the budget;
a study's is the least over its trials; a workload's is the median over the planned studies, where
a missing study is a miss. Each time is divided by the best of all submissions on that workload,
and the score (0 to 1) is the area under the share of workloads within a factor tau of the best,
for tau from 1 to 4.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench.errors import LogsError

if TYPE_CHECKING:
    from scoring import RunSelection, Scoreboard

HELP = "score runs: who reached the targets first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_selection_arguments(parser)
    parser.add_argument(
        "--csv", metavar="FILE", help="write the leaderboard as CSV; - writes it instead of a table"
    )
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of a table")


def add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which runs are scored."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUNS", help="a folder of runs, or a part of one"
    )
    parser.add_argument("--rules", metavar="VERSION", help="score only trials under these rules")
    parser.add_argument(
        "--ruleset",
        choices=("external", "self"),
        help="score only trials under this tuning ruleset",
    )
    parser.add_argument(
        "--allow-mixed-hardware",
        action="store_true",
        help="compare times from different hardware classes, and say so",
    )


def selection_of(args: argparse.Namespace) -> RunSelection:
    """Give the selection that the options ask for."""
    from scoring import RunSelection

    return RunSelection(
        rules=args.rules,
        ruleset=args.ruleset,
        is_mixed_hardware_allowed=args.allow_mixed_hardware,
    )


def run(args: argparse.Namespace) -> int:
    """Print the leaderboard."""
    from scoring import read_runs, score_runs

    if args.json and args.csv == "-":
        raise LogsError("--json and --csv - both write to the screen; give one a file or leave it")
    board = score_runs(read_runs(args.runs, selection_of(args)))
    csv = board.table.to_csv(index=False, lineterminator="\n")
    if args.csv == "-":
        print(csv, end="")
        return 0
    if args.csv:
        Path(args.csv).write_text(csv, encoding="utf-8", newline="")
    print(_json_text(board) if args.json else _table_text(board))
    return 0


def _json_text(board: Scoreboard) -> str:
    from scoring import leaderboard_records

    document = {
        "leaderboard": leaderboard_records(board),
        "notes": list(board.notes),
        "unit": board.unit,
        "rules": board.rules,
        "ruleset": board.ruleset,
        "tau_max": board.tau_max,
    }
    return json.dumps(document, indent=1, allow_nan=False)


def _table_text(board: Scoreboard) -> str:
    from scoring.text import printable

    workloads = list(board.times.columns)
    lines = [["rank", "submission", "score", *workloads]]
    for row in board.table.to_dict("records"):
        times = [_time_text(row[f"time/{workload}"]) for workload in workloads]
        lines.append(
            [str(row["rank"]), printable(row["submission"]), f"{row['score']:.4f}", *times]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        f"rules {board.rules}, {board.ruleset} tuning; time to target in {board.unit}, "
        "median over the studies",
        "",
    ]
    for cells in lines:
        padded = [
            cell.ljust(width) if i == 1 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        text.append("  ".join(padded).rstrip())
    if board.notes:
        text += ["", *(f"note: {printable(note)}" for note in board.notes)]
    return "\n".join(text)


def _time_text(time: float) -> str:
    return f"{time:.5g}" if math.isfinite(time) else "missed"
