"""Generated data is of one version: kept, gone on with, written anew, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pacebench.errors import DataError
from pacebench.generated import NOTE, check_generated, write_generated
from pacebench.plugins import find_workload, resolve, workloads_in_suite
from pacebench.spec import DataTools, Report, Workload

FOLDER = "toy_mini"


def write_toy(data_dir: Path, report: Report) -> None:
    """Write one file unless it is there."""
    path = data_dir / FOLDER / "toy"
    report("toy", 0, 1)
    if not path.exists():
        path.write_text("new")


def say_nothing(_what: str, _done: int, _total: int) -> None:
    """Take a report."""


def toy(version: int) -> Workload:
    """Give a workload whose data is generated in this version."""
    tools = DataTools(mini=f"{__name__}:write_toy", mini_version=version)
    return replace(find_workload("digits"), name="toy", data_folder=FOLDER, data_tools=tools)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Data of version 1, with a mark by which it is known again."""
    write_generated(toy(1), tmp_path, say_nothing)
    (tmp_path / FOLDER / "toy").write_text("old")
    return tmp_path


def test_what_the_same_version_wrote_stays(written: Path) -> None:
    write_generated(toy(1), written, say_nothing)
    assert (written / FOLDER / "toy").read_text() == "old"
    check_generated(toy(1), written)


def test_what_another_version_wrote_is_refused_and_written_anew(written: Path) -> None:
    with pytest.raises(DataError, match=r"another version of pacebench; pacebench data mini toy "):
        check_generated(toy(2), written)
    write_generated(toy(2), written, say_nothing)
    assert (written / FOLDER / "toy").read_text() == "new"
    check_generated(toy(2), written)


def test_what_has_no_note_is_used_but_written_anew(written: Path) -> None:
    (written / FOLDER / NOTE).unlink()
    check_generated(toy(1), written)
    write_generated(toy(1), written, say_nothing)
    assert (written / FOLDER / "toy").read_text() == "new"


def test_an_interrupted_run_goes_on(written: Path) -> None:
    def break_off(_what: str, _done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_generated(toy(2), written, break_off)
    check_generated(toy(2), written)  # what is there is of this version
    (written / FOLDER / "part").touch()
    write_generated(toy(2), written, say_nothing)
    assert (written / FOLDER / "part").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"version": "a"})])
def test_a_damaged_note_is_named(written: Path, text: str) -> None:
    (written / FOLDER / NOTE).write_text(text)
    for do in (
        lambda: check_generated(toy(1), written),
        lambda: write_generated(toy(1), written, say_nothing),
    ):
        with pytest.raises(DataError, match=rf"{NOTE} is damaged .*; delete "):
            do()
    assert (written / FOLDER / "toy").read_text() == "old"


def test_a_link_in_the_folders_place_is_one_line(written: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / FOLDER).symlink_to(written / FOLDER)
    with pytest.raises(DataError, match="toy"):
        write_generated(toy(2), tmp_path / "elsewhere", say_nothing)
    assert (written / FOLDER / "toy").read_text() == "old"


def test_workloads_that_share_a_folder_share_what_writes_it() -> None:
    tools: dict[str | None, DataTools] = {}
    for workload in workloads_in_suite("mini"):
        assert tools.setdefault(workload.data_folder, workload.data_tools) == workload.data_tools
        assert callable(resolve(workload.data_tools.mini))
