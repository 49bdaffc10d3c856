"""Measure this machine's speed once, so that small workloads get a budget that fits it.

  pacebench calibrate-machine                    every workload whose budget can be measured
  pacebench calibrate-machine --workload digits --steps 500
  pacebench run adamw --workload digits --rules dev --budget-scale auto

The AdamW reference trains for --steps steps, and its seconds per step are kept in
$XDG_CONFIG_HOME/pacebench/machine.json (~/.config), by hardware class: measure again for another
--jobs, which leaves each trial fewer cores. A run with --budget-scale auto then gives each trial
the seconds that the step hint takes here, writes them into its plan, and says so everywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacebench.cli.resources import resources_for
from pacebench.cli.tables import strict_json
from pacebench.errors import PlanError

if TYPE_CHECKING:
    from pacebench.spec import DataRequest

HELP = "measure this machine's speed, for --budget-scale auto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--workload", nargs="+", action="extend", metavar="NAME", help="default: all that can be"
    )
    parser.add_argument("--steps", type=int, default=300, help="steps to measure (%(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="divide the cores, as a run with --jobs"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--data-dir", type=Path, help="folder that holds the data sets")
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Measure, print and keep."""
    from pacebench.calibration import calibrated_workloads, measure, write_measurements
    from pacebench.spec import DataRequest

    for name in ("steps", "jobs"):
        if getattr(args, name) <= 0:
            raise PlanError(f"--{name} must be more than 0, not {getattr(args, name)}")
    resources = resources_for(args.device, jobs=args.jobs)
    data = DataRequest(data_dir=args.data_dir.resolve() if args.data_dir else None)
    names = args.workload or _those_with_data(calibrated_workloads(), data)
    measured = [measure(name, resources, args.steps, data) for name in dict.fromkeys(names)]
    path = write_measurements(measured)
    records = [{**asdict(m), **_budget(m.workload, m.seconds_per_step)} for m in measured]
    if args.json:
        print(strict_json({"file": str(path), "measurements": records}))
        return 0
    for record in records:
        print(
            f"{record['workload']}: {record['seconds_per_step'] * 1000:.2f} ms per step over "
            f"{record['n_steps']} steps on {record['hardware_class']}\n"
            f"  budget {record['budget_seconds']:.3g} s (rules: {record['rules_seconds']:g} s)"
        )
    print(
        f"kept in {path}; next: pacebench run adamw --workload digits --rules dev "
        "--budget-scale auto"
    )
    return 0


def _those_with_data(names: Iterable[str], data: DataRequest) -> list[str]:
    """Give the workloads whose data is there; the others are named on the screen."""
    from pacebench.errors import DataError
    from pacebench.plugins import find_workload

    there = []
    for name in names:
        try:
            find_workload(name).find_sizes(data)
        except DataError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
        else:
            there.append(name)
    return there


def _budget(workload: str, seconds_per_step: float) -> dict[str, Any]:
    from pacebench.calibration import calibrated_workloads
    from tuning.rules import load_rules

    limits = load_rules(calibrated_workloads()[workload]).workload(workload)
    return {
        "budget_seconds": seconds_per_step * limits.step_hint,
        "rules_seconds": limits.budget_seconds,
    }
