"""Say what this machine can run: frameworks, devices, data and disk; and what to do next.

  pacebench doctor                     with the data that comes with the install
  pacebench doctor --data-dir ~/data   with the data sets in a folder
  pacebench doctor --json              for programs

Exit code 1 if something is missing that digits, the smallest workload, needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench.cli.tables import bytes_text, printable, strict_json

if TYPE_CHECKING:
    from pacebench.machine_check import DataState, FrameworkState, MachineState

HELP = "say what this machine can run"
EXIT_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--data-dir", type=Path, help="folder that holds the data sets")
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print what was found; exit code 1 if digits cannot run in any framework."""
    from pacebench.machine_check import look_at_machine
    from pacebench.spec import DataRequest

    data_dir = args.data_dir.resolve() if args.data_dir else None
    state = look_at_machine(DataRequest(data_dir=data_dir), Path())
    problems, warnings = state.problems(), state.warnings()
    steps = _next_steps(state)
    if args.json:
        verdict = {"problems": problems, "warnings": warnings, "next": steps}
        print(strict_json({**asdict(state), **verdict}))
    else:
        print("\n".join(printable(line) for line in _lines(state)), end="\n\n")
        for kind, texts in (("problem", problems), ("warning", warnings), ("next", steps)):
            for text in texts:
                print(f"{kind}: {printable(text)}")
    return EXIT_FAILED if problems else 0


def _lines(state: MachineState) -> list[str]:
    machine = state.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return [
        f"pacebench   {machine['pacebench']}, Python {machine['python']}",
        f"packages    {packages}",
        f"processor   {machine['processor']}, {state.usable_cores} of {machine['n_cores']} cores",
        f"memory      {bytes_text(machine['memory_bytes'])}, "
        f"{bytes_text(state.available_memory_bytes)} available",
        f"GPUs        {', '.join(state.gpus) or 'none'}",
        f"disk        {bytes_text(state.free_disk_bytes)} free here",
        *(_framework_line(framework) for framework in state.frameworks),
        *_data_lines(state.data),
    ]


def _framework_line(state: FrameworkState) -> str:
    sees = f"{state.version}, sees {', '.join(state.gpus) or 'the CPU'}"
    return f"{state.framework:12}{sees if state.is_usable else 'cannot be used'}"


def _data_lines(states: Sequence[DataState]) -> list[str]:
    """Give a line for each data set; workloads that share one share its line."""
    names: dict[str, list[str]] = {}
    for state in states:
        names.setdefault(_found(state), []).append(state.workload)
    return [f"data        {', '.join(sharing)}: {found}" for found, sharing in names.items()]


def _found(state: DataState) -> str:
    if state.sizes is None:
        return state.problem
    return ", ".join(f"{split} {size:,}" for split, size in sorted(state.sizes.items()))


def _next_steps(state: MachineState) -> list[str]:
    """Give the commands that make sense here."""
    if state.problems():
        return ["mend the problem, then: pacebench doctor"]
    usable = next(f.framework for f in state.frameworks if f.is_usable)
    name = {"torch": "adamw", "jax": "adamw_jax"}[usable]
    return [
        f"pacebench run {name} --workload digits --rules dev",
        f"pacebench new my_optimizer --framework {usable}",
    ]
