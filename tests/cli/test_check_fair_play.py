"""`pacebench check` tells what is not fair play, as lines and as JSON, without running anything."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call
from tests.fairplay.planted import CHEATS, HONEST

BY_NAME = {one.name: one for one in (*CHEATS, *HONEST)}
SKIPPED = ("--workload", "mnist", "--data-dir", ".")  # there is no data, so nothing runs


def test_what_is_against_the_rules_fails_the_check(call: Call, tmp_path: Path) -> None:
    cheat = BY_NAME["table_by_workload"]
    cheat.write(tmp_path)
    said = call("check", cheat.name, *SKIPPED, "--json")
    assert said.code == 1
    checks = json.loads(said.out)["checks"]
    denied = {(c["rule"], c["place"]) for c in checks if c["level"] == "deny"}
    assert denied == {("workload-table", "code.py:2"), ("workload-name", "code.py:13")}
    assert all(c["status"] == "FAIL" for c in checks if c["level"] == "deny")


def test_what_a_person_should_look_at_is_a_warning(call: Call, tmp_path: Path) -> None:
    cheat = BY_NAME["thread_in_evaluation"]
    cheat.write(tmp_path)
    said = call("check", cheat.name, *SKIPPED)
    assert said.code == 0
    (line,) = [line for line in said.out.splitlines() if "fair play, thread" in line]
    assert line.startswith("warning source: fair play, thread: code.py:7: threading.Thread: ")


def test_where_nothing_is_found_one_line_says_so(call: Call, tmp_path: Path) -> None:
    BY_NAME["reads_its_own_folder"].write(tmp_path)
    said = call("check", "reads_its_own_folder", *SKIPPED)
    assert said.code == 0
    lines = [line for line in said.out.splitlines() if "fair play" in line]
    assert lines == [
        "ok      source: fair play: nothing in the source is against the rules",
        "ok      source: fair play, files: code.py:8: read_text: "
        "its own folder's files are its own",
    ]
