"""Check a plugin before it runs: one line per check, and what to mend.

  pacebench check ./my_optimizer                      on every small workload whose data is there
  pacebench check ./my_optimizer --workload digits    on digits, whose data comes with the install
  pacebench check torch.optim:AdamW --json            for programs

Metadata, source and search space are read; then, per workload, two steps are made, and a trial that
is interrupted after two steps and resumed to four must evaluate exactly as one that was not. On the
first workload that runs, four steps are observed for what is not fair play (docs/fair_play.md).
Exit code 1 if a check fails. What failed trials left (code, log, traceback) stays in the folder
shown.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench.cli.tables import counted, printable, strict_json

if TYPE_CHECKING:
    from pacebench.plugin_check import CheckRequest

HELP = "check a plugin before it runs"
SUITE = "dev"
EXIT_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "plugin", metavar="PLUGIN", help="folder, file, installed plugin or library's class"
    )
    parser.add_argument(
        "--workload", nargs="+", action="extend", metavar="NAME", help=f"default: suite {SUITE}"
    )
    parser.add_argument("--data-dir", type=Path, help="folder that holds the data sets")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument(
        "--wall-limit",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="end a trial as hung after this (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print the findings; exit code 1 if any of them is a FAIL."""
    from pacebench.plugin_check import FAIL, SKIPPED, WARNING, check_plugin

    scratch = Path(tempfile.mkdtemp(prefix="pacebench-check-"))
    findings = []
    try:
        for finding in check_plugin(_request(args, scratch)):
            findings.append(finding)
            if not args.json:
                message = f": {printable(finding.message)}" if finding.message else ""
                print(f"{finding.status:8}{printable(finding.check)}{message}", flush=True)
    finally:
        is_failed = any(finding.status == FAIL for finding in findings)
        if not is_failed:
            shutil.rmtree(scratch)
    if args.json:
        records = [asdict(finding) for finding in findings]
        print(strict_json({"plugin": args.plugin, "is_ok": not is_failed, "checks": records}))
        return EXIT_FAILED if is_failed else 0
    n = {s: sum(f.status == s for f in findings) for s in (FAIL, WARNING, SKIPPED)}
    print(
        f"\n{counted(len(findings), 'check')}: {n[FAIL]} failed, "
        f"{counted(n[WARNING], 'warning')}, {n[SKIPPED]} skipped"
    )
    if not is_failed:
        print(f"next: pacebench run {args.plugin} --workload digits --rules dev{_ruleset(args)}")
    return EXIT_FAILED if is_failed else 0


def _ruleset(args: argparse.Namespace) -> str:
    """Give the option that a submission without a search space needs."""
    from pacebench.plugins import find_submission

    return " --ruleset self" if find_submission(args.plugin).search_space is None else ""


def _request(args: argparse.Namespace, scratch: Path) -> CheckRequest:
    from pacebench.cli.resources import resources_for
    from pacebench.errors import PlanError
    from pacebench.plugin_check import CheckRequest
    from pacebench.plugins import find_workload, workloads_in_suite
    from pacebench.spec import DataRequest

    if args.wall_limit <= 0:
        raise PlanError(f"--wall-limit must be more than 0, not {args.wall_limit}")
    names = dict.fromkeys(args.workload or [])
    return CheckRequest(
        plugin=args.plugin,
        workloads=[find_workload(name) for name in names] or workloads_in_suite(SUITE),
        data=DataRequest(data_dir=args.data_dir.resolve() if args.data_dir else None),
        resources=resources_for(args.device, jobs=1),
        wall_limit_seconds=args.wall_limit,
        scratch=scratch,
    )
