"""`pacebench data`: what it says where there is nothing to prepare, or nothing to prepare from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pacebench import downloads, plugins
from pacebench.errors import DataError
from pacebench.preparing import Published
from pacebench.spec import DataRequest, DataTools, Report
from tests.cli.conftest import Call

SIZES = {"train": 3, "eval_train": 1, "validation": 1, "test": 1}


def prepare_toy(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Copy the one file, telling of it."""
    report("toy", 0, 3)
    (data_dir / "toy").write_bytes((raw_dir / "toy.bin").read_bytes())
    report("toy", 3, 3)


def needed_toy(raw_dir: Path, data_dir: Path) -> int:
    """Give the file's size, the only thing that is still to be written."""
    return 0 if (data_dir / "toy").exists() else (raw_dir / "toy.bin").stat().st_size


def mini_toy(data_dir: Path, report: Report) -> None:
    """Write generated data."""
    report("mini", 1, 1)
    data_dir.mkdir(exist_ok=True)
    (data_dir / "toy").write_bytes(b"abc")


def toy_sizes(request: DataRequest) -> dict[str, int]:
    """Give as many examples as the file has bytes."""
    assert request.data_dir is not None and request.allow_partial
    path = request.data_dir / "toy"
    if not path.is_file():
        raise DataError(f"toy: no {path}")
    return {**SIZES, "train": path.stat().st_size}


TOY_TOOLS: Mapping[str, str] = {
    "prepare": f"{__name__}:prepare_toy",
    "needed_bytes": f"{__name__}:needed_toy",
    "mini": f"{__name__}:mini_toy",
}


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a workload with data tools in the place of digits."""
    toy = replace(
        plugins.find_workload("digits"),
        name="toy",
        sizes=SIZES,
        find_sizes=toy_sizes,
        data_tools=DataTools(**TOY_TOOLS, raw_files=("toy.bin", "labels.bin")),
    )
    monkeypatch.setattr(plugins, "find_workload", lambda name: toy)


def test_digits_has_nothing_to_prepare(call: Call, tmp_path: Path) -> None:
    said = call("data", "prepare", "digits", "--raw", tmp_path, "--data-dir", "data")
    assert said.code == 2 and said.err.count("\n") == 1
    assert "digits has nothing to prepare" in said.err
    assert f"pacebench data verify digits --data-dir {tmp_path / 'data'}" in said.err


def test_digits_has_no_generated_data(call: Call) -> None:
    said = call("data", "mini", "digits", "--data-dir", "data")
    assert said.code == 2 and said.err.count("\n") == 1
    assert "digits has no generated data; only workloads of suite mini have" in said.err


def test_digits_is_whole_as_it_comes(call: Call) -> None:
    said = call("data", "verify", "digits", "--data-dir", "data")
    assert (said.code, said.err) == (0, "")
    assert "digits train: " in said.out and "not whole" not in said.out
    document = json.loads(call("data", "verify", "digits", "--data-dir", "data", "--json").out)
    assert document["is_whole"] and document["found"] == document["published"]


def test_an_unknown_workload_gets_a_suggestion(call: Call) -> None:
    said = call("data", "verify", "digit", "--data-dir", "data")
    assert said.code == 2 and "did you mean 'digits'?" in said.err


@pytest.mark.parametrize("words", [(), ("verify",), ("unpack", "digits"), ("verify", "digits")])
def test_words_that_are_missing_or_wrong_are_one_line(words: tuple[str, ...], call: Call) -> None:
    said = call("data", *words)
    assert said.code == 2 and said.out == ""
    assert said.err.splitlines()[-1].startswith("pacebench")


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize("raw", [(), ("--raw", "absent")])
def test_a_missing_raw_folder_names_the_files_that_belong_in_it(
    raw: tuple[str, ...], call: Call
) -> None:
    said = call("data", "prepare", "toy", "--data-dir", "data", *raw)
    assert said.code == 2 and said.err.count("\n") == 1
    assert "toy is prepared from toy.bin, labels.bin; give their folder with --raw DIR" in said.err
    assert not Path("data").exists()


TOY_FILE = Published(n_bytes=3 << 30, algorithm="sha256", digest="", url="http://toy/toy.bin")
TOY_FILES = {"toy.bin": TOY_FILE}


@pytest.mark.usefixtures("_toy")
def test_what_is_missing_is_downloaded_before_it_is_prepared(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = plugins.find_workload("toy")
    tools = replace(toy.data_tools, downloads=f"{__name__}:TOY_FILES")
    monkeypatch.setattr(plugins, "find_workload", lambda name: replace(toy, data_tools=tools))
    asked = []

    def download(archives: Mapping[str, Published], folder: Path) -> None:
        asked.append(archives)
        (folder / "toy.bin").write_bytes(b"abc")

    monkeypatch.setattr(downloads, "download", download)
    raw = tmp_path / "raw"
    words = ("data", "prepare", "toy", "--data-dir", "data", "--raw", raw, "--download")
    said = call(*words)
    assert (said.code, asked) == (0, [TOY_FILES])
    assert said.err.startswith(f"toy: 3.0 GiB to write to {raw}, ")
    assert (call(*words).code, len(asked)) == (0, 1)
    (raw / "toy.bin").unlink()
    usage = SimpleNamespace(free=2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    said = call(*words)
    assert said.code == 2 and "free and 3.0 GiB is needed" in said.err
    assert len(asked) == 1


@pytest.mark.usefixtures("_toy")
def test_not_every_workload_can_be_downloaded(call: Call, tmp_path: Path) -> None:
    said = call("data", "prepare", "toy", "--data-dir", "data", "--raw", tmp_path, "--download")
    assert said.code == 2 and "toy cannot be downloaded for you; its README" in said.err


def test_a_missing_folder_is_said_with_the_way_to_fill_it(call: Call) -> None:
    said = call("data", "prepare", "ogbg", "--data-dir", "data", "--raw", "absent")
    assert said.code == 2 and said.err.endswith("is no folder; --download fetches them\n")


def test_a_download_needs_a_folder(call: Call) -> None:
    said = call("data", "prepare", "ogbg", "--data-dir", "data", "--download")
    assert said.code == 2 and "--download needs a folder for the files: --raw DIR" in said.err


@pytest.mark.parametrize("name", ["ogbg", "wmt", "wmt_post_ln", "librispeech_deepspeech"])
def test_what_can_be_downloaded_is_the_raw_download(name: str) -> None:
    tools = plugins.find_workload(name).data_tools
    archives = plugins.resolve(tools.downloads)
    assert set(archives) == set(tools.raw_files)
    assert all(archive.url.endswith(f"/{file}") for file, archive in archives.items())
    assert all(archive.algorithm == "sha256" for archive in archives.values())


@pytest.mark.usefixtures("_toy")
def test_prepare_says_what_it_needs_then_what_is_there(call: Call, tmp_path: Path) -> None:
    (tmp_path / "toy.bin").write_bytes(b"abc")
    said = call("data", "prepare", "toy", "--data-dir", "data", "--raw", tmp_path)
    assert said.code == 0
    assert said.err.startswith(f"toy: 0.0 GiB to write to {tmp_path / 'data'}, ")
    assert said.out.splitlines() == [f"toy {split}: {n} examples" for split, n in SIZES.items()]


@pytest.mark.usefixtures("_toy")
def test_less_than_published_is_said_and_exits_with_1(call: Call, tmp_path: Path) -> None:
    (tmp_path / "toy.bin").write_bytes(b"ab")
    said = call("data", "prepare", "toy", "--data-dir", "data", "--raw", tmp_path)
    assert said.code == 1
    assert "toy train: 2 examples, not the published 3" in said.out
    assert "--allow-partial-data" in said.out
    said = call("data", "verify", "toy", "--data-dir", "data", "--json")
    assert said.code == 1 and json.loads(said.out)["is_whole"] is False


@pytest.mark.usefixtures("_toy")
def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy.bin").write_bytes(b"abc")
    usage = SimpleNamespace(free=2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    said = call("data", "prepare", "toy", "--data-dir", "data", "--raw", tmp_path)
    assert said.code == 2 and "free and 0.0 GiB is needed" in said.err
    assert not Path("data/toy").exists()


@pytest.mark.usefixtures("_toy")
def test_mini_writes_and_verifies(call: Call) -> None:
    said = call("data", "mini", "toy", "--data-dir", "data")
    assert said.code == 0 and "toy train: 3 examples" in said.out


@pytest.mark.usefixtures("_toy")
def test_verify_without_data_is_one_line(call: Call, tmp_path: Path) -> None:
    said = call("data", "verify", "toy", "--data-dir", "data")
    assert said.code == 2 and said.err.count("\n") == 1
    assert f"toy: no {tmp_path / 'data' / 'toy'}" in said.err


@pytest.mark.usefixtures("_toy")
def test_the_whole_suite_is_generated_by_its_name(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = [plugins.find_workload("digits")]
    monkeypatch.setattr(
        plugins, "workloads_in_suite", lambda suite: only if suite == "mini" else []
    )
    said = call("data", "mini", "mini", "--data-dir", "data")
    assert said.code == 0
    assert "toy train: 3 examples" in said.out
