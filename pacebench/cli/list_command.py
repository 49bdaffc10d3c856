"""List what there is to run: workloads, submissions, rule versions and suites.

  pacebench list                      all of it, briefly
  pacebench list workloads            sizes, losses and parameters; then targets by rule version
  pacebench list workloads --json     the same for programs, with every number of every version
  pacebench list submissions          built-ins and installed plugins; none of them is imported

Any of the names goes into `pacebench run SUBMISSION --workload NAME --rules VERSION`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pacebench.cli.tables import aligned, strict_json

if TYPE_CHECKING:
    from pacebench.spec import Workload
    from tuning.rules import Rules, WorkloadRules

HELP = "list workloads, submissions, rules and suites"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("what", nargs="?", choices=tuple(_RECORDS), help="only this; default: all")
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    asked = [args.what] if args.what else list(_RECORDS)
    document = {what: _RECORDS[what]() for what in asked}
    if args.json:
        print(strict_json(document))
        return 0
    tables = [_TABLES[what](records) for what, records in document.items()]
    if args.what == "workloads":
        tables += _target_tables(document["workloads"])
    print("\n\n".join(tables))
    return 0


def _workload_records() -> list[dict[str, Any]]:
    from pacebench.plugins import all_workloads
    from tuning.rules import load_rules, rules_versions

    versions = [load_rules(version) for version in rules_versions()]
    return [_workload_record(workload, versions) for workload in all_workloads().values()]


def _workload_record(workload: Workload, versions: list[Rules]) -> dict[str, Any]:
    return {
        "name": workload.name,
        "description": workload.description,
        "suites": list(workload.suites),
        "data_folder": workload.data_folder,
        "sizes": dict(workload.sizes),
        "loss": str(workload.loss),
        "parameters": workload.n_parameters,
        "batch_size": workload.batch_size,
        "eval_batch_size": workload.eval_batch_size,
        "rules": {
            rules.version: _limits_record(rules.workloads[workload.name])
            for rules in versions
            if workload.name in rules.workloads
        },
    }


def _limits_record(limits: WorkloadRules) -> dict[str, Any]:
    return {
        "metric": limits.metric,
        "direction": "higher" if limits.larger_is_better else "lower",
        "validation_target": limits.validation_target,
        "test_target": limits.test_target,
        "budget_seconds": limits.budget_seconds,
        "step_hint": limits.step_hint,
        "eval_period_seconds": limits.eval_period_seconds,
        "reference_hardware": limits.reference_hardware,
        "variant_of": limits.variant_of,
    }


def _submission_records() -> list[dict[str, Any]]:
    from pacebench.plugins import installed_submissions

    return [
        {
            "name": submission.name,
            "framework": submission.framework,
            "level": {"make": 1, "algorithm": 2}.get(submission.style),
            "tuning": [
                name
                for name, values in (
                    ("external", submission.search_space),
                    ("self", submission.self_tuning),
                )
                if values is not None
            ],
            "description": submission.description,
            "authors": list(submission.authors),
            "paper": submission.paper,
            "licence": submission.licence,
            "folder": str(submission.source),
        }
        for submission in installed_submissions().values()
    ]


def _rules_records() -> list[dict[str, Any]]:
    from tuning.rules import load_rules, rules_versions

    return [
        {
            "version": rules.version,
            "title": rules.title,
            "studies": rules.studies,
            "trials": rules.trials,
            "self_tuning_trials": rules.self_tuning_trials,
            "budget_factor": dict(rules.budget_factor),
            "base_workloads": list(rules.base_workloads),
            "held_out": list(rules.held_out),
            "workloads": sorted(rules.workloads),
        }
        for rules in map(load_rules, rules_versions())
    ]


def _suite_records() -> list[dict[str, Any]]:
    from pacebench.plugins import all_workloads

    suites: dict[str, list[str]] = {}
    for workload in all_workloads().values():
        for suite in workload.suites:
            suites.setdefault(suite, []).append(workload.name)
    return [{"name": name, "workloads": suites[name]} for name in sorted(suites)]


def _workload_table(records: list[dict[str, Any]]) -> str:
    header = ["workload", "suites", "train", "validation", "test", "loss", "parameters", "batch"]
    rows = [
        [
            record["name"],
            ",".join(record["suites"]),
            *(f"{record['sizes'][split]:,}" for split in ("train", "validation", "test")),
            record["loss"],
            f"{record['parameters']:,}",
            f"{record['batch_size']:,}",
        ]
        for record in records
    ]
    return aligned(header, rows, right=("train", "validation", "test", "parameters", "batch"))


def _target_tables(records: list[dict[str, Any]]) -> list[str]:
    header = ["workload", "metric", "validation", "test", "budget s", "step hint", "eval every s"]
    tables = []
    for version in sorted({version for record in records for version in record["rules"]}):
        rows = [
            _target_row(record["name"], record["rules"][version])
            for record in records
            if version in record["rules"]
        ]
        text = aligned([f"rules {version}", *header[1:]], rows, right=header[2:])
        tables.append(text)
    return tables


def _target_row(name: str, limits: dict[str, Any]) -> list[str]:
    sign = ">" if limits["direction"] == "higher" else "<"
    test = limits["test_target"]
    return [
        name,
        limits["metric"],
        f"{sign} {limits['validation_target']:g}",
        "" if test is None else f"{sign} {test:g}",
        f"{limits['budget_seconds']:g}",
        f"{limits['step_hint']:,}",
        f"{limits['eval_period_seconds']:g}",
    ]


def _submission_table(records: list[dict[str, Any]]) -> str:
    rows = [[r["name"], r["framework"], "+".join(r["tuning"]), r["description"]] for r in records]
    return aligned(["submission", "framework", "tuning", "description"], rows)


def _rules_table(records: list[dict[str, Any]]) -> str:
    rows = [
        [
            r["version"],
            f"{r['studies']} x {r['trials']}",
            str(len(r["workloads"])),
            r["title"],
        ]
        for r in records
    ]
    header = ["rules", "studies x trials", "workloads", "title"]
    return aligned(header, rows, right=("studies x trials", "workloads"))


def _suite_table(records: list[dict[str, Any]]) -> str:
    return aligned(
        ["suite", "workloads"], [[r["name"], ", ".join(r["workloads"])] for r in records]
    )


_RECORDS = {
    "workloads": _workload_records,
    "submissions": _submission_records,
    "rules": _rules_records,
    "suites": _suite_records,
}
_TABLES = {
    "workloads": _workload_table,
    "submissions": _submission_table,
    "rules": _rules_table,
    "suites": _suite_table,
}
