"""The verdict on a submission's source: a pure function of its files, without any framework."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pacebench
from pacebench.fairplay.files import find_files
from pacebench.fairplay.findings import Found, in_order, worst
from pacebench.fairplay.fingerprints import find_fingerprints
from pacebench.fairplay.finishing import find_ends
from pacebench.fairplay.names import Names
from pacebench.fairplay.source import read_files
from pacebench.fairplay.tables import find_names, find_tables_in_file
from pacebench.fairplay.uses import find_uses
from pacebench.fairplay.weights import find_large_files, find_weights
from pacebench.fairplay.writes import find_writes
from pacebench.plugins import all_workloads

SCHEMA_VERSION = 1


def read_source(source: Path, workloads: Collection[str] | None = None) -> list[Found]:
    """Read a submission's folder or file; gives what is found, the worst first.

    `workloads` are the names that tell workloads apart; by default those known here, with their
    AlgoPerf names. Nothing is imported and nothing raises, whatever lies in the folder.
    """
    known = workload_names() if workloads is None else frozenset(workloads)
    files = read_files(source)
    folder = source if source.is_dir() else source.parent
    found: list[Found] = [*files.unread, *find_large_files(files.others, folder)]
    for path in files.tables:
        name = path.relative_to(folder).as_posix()
        found += find_tables_in_file(path, name, known)
    by_file: dict[str, Names] = {}
    for parsed in files.parsed:
        by_file[parsed.name] = Names(parsed, by_file)
    for names in by_file.values():
        found += find_uses(names)
        found += find_writes(names)
        found += find_names(names, known)
        found += find_fingerprints(names)
        found += find_files(names)
        found += find_weights(names)
        found += find_ends(names)
    return in_order(found)


def verdict(source: Path) -> dict[str, Any]:
    """Give the verdict on a submission's source as it is kept beside a trial's copy of it."""
    found = read_source(source)
    return {
        "schema_version": SCHEMA_VERSION,
        "pacebench": pacebench.__version__,
        "level": str(worst(found)),
        "findings": records(found),
    }


def verdict_json(source: Path) -> str:
    """Give the verdict as indented JSON; the same source gives the same bytes."""
    return json.dumps(verdict(source), indent=1, sort_keys=True) + "\n"


def records(found: Sequence[Found]) -> list[dict[str, str]]:
    """Give findings as plain values."""
    return [
        {"rule": str(f.rule), "place": f.place, "level": str(f.level), "reason": f.reason}
        for f in found
    ]


@functools.cache
def workload_names() -> frozenset[str]:
    """Give the names of all workloads, ours and AlgoPerf's."""
    return frozenset(_names())


def _names() -> Iterator[str]:
    for workload in all_workloads().values():
        yield workload.name
        if workload.algoperf_name:
            yield workload.algoperf_name
