"""wmt is prepared: what is written, what is kept, how an interrupted run goes on, what is wrong."""

from __future__ import annotations

import gzip
import io
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pacebench.errors import DataError
from pacebench.preparing import Published, locked
from pacebench.spec import DataRequest
from tests.workloads.wmt_raw import (
    N_TEST,
    N_VALIDATION,
    TINY,
    contents,
    file_of,
    lines_of,
    manifest_of,
    quiet,
    sentences_of,
    write_archives,
    write_unpacked,
)
from workloads.wmt import prepare as preparing
from workloads.wmt.corpus import RAPID
from workloads.wmt.files import find_manifest, find_sizes
from workloads.wmt.prepare import RAW_FILES, needed_bytes, prepare
from workloads.wmt.tokens import MODEL_FILE, Tokenizer

SOURCE, TARGET = TINY.parts["train"][1].members
PARTIAL = {"allow_partial": True}


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the real disk out of it (seconds, on a busy one)."""
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archives(tmp_path_factory.mktemp("archives"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_archives_become_tokens_of_every_pair(archives: Path, data: Path) -> None:
    assert set(RAW_FILES) == {path.name for path in archives.iterdir()}
    assert needed_bytes(TINY, archives, data) > 0
    prepare(TINY, archives, data, quiet)
    folder = data / "wmt"
    assert not (folder / ".prepare").exists()
    request = DataRequest(data_dir=data)
    wanted = {"train": 100, "eval_train": 8, "validation": N_VALIDATION, "test": N_TEST}
    assert find_sizes(TINY, request) == wanted
    assert needed_bytes(TINY, archives, data) == 0

    tokenizer = Tokenizer(folder / MODEL_FILE)
    assert len(tokenizer) == 40
    pairs = {pair for part in TINY.parts["train"] for pair in zip(*lines_of(part), strict=True)}
    sides = [tokenizer.decode(sentences_of(folder, "train", s)) for s in ("inputs", "targets")]
    assert set(zip(*sides, strict=True)) == pairs
    references = (folder / "test.references.txt").read_text(encoding="utf-8").splitlines()
    assert tokenizer.decode(sentences_of(folder, "test", "targets")) == references
    assert sorted(references) == sorted(lines_of(TINY.parts["test"][0])[1])


def test_archives_and_files_unpacked_from_them_give_the_same(
    archives: Path, data: Path, tmp_path: Path
) -> None:
    prepare(TINY, archives, data, quiet)
    wanted = contents(data / "wmt")
    plain = write_unpacked(tmp_path / "plain")
    for part in (TINY.parts["train"][0], TINY.parts["test"][0]):  # lines, and segments
        packed = plain / part.members[0]
        packed.with_name(packed.name + ".gz").write_bytes(gzip.compress(packed.read_bytes()))
        packed.unlink()
    flat = plain / TINY.parts["train"][1].members[0]
    assert flat.parent == plain  # Common Crawl's files lie in no folder
    prepare(TINY, plain, tmp_path / "again", quiet)
    found = contents(tmp_path / "again" / "wmt")
    assert found.pop("manifest.json") != wanted.pop("manifest.json")  # it names the raw files
    assert found == wanted


def test_parallel_text_of_ones_own_will_do(data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "own"
    raw.mkdir()
    for name, part in zip(("train_a", "val", "test"), TINY.parts["train"], strict=False):
        for language, lines in zip(("de", "en"), lines_of(part), strict=True):
            content = file_of("", lines)
            (raw / f"{name}.{language}.gz").write_bytes(gzip.compress(content))
    prepare(TINY, raw, data, quiet)
    sizes = find_sizes(TINY, DataRequest(data_dir=data, **PARTIAL))
    assert sizes == {"train": 40, "eval_train": 8, "validation": 30, "test": 20}
    with pytest.raises(DataError, match=r"train in .* has 40 pairs of the 100 published"):
        find_sizes(TINY, DataRequest(data_dir=data))


def test_what_is_whole_is_kept_and_what_is_not_is_made_again(archives: Path, data: Path) -> None:
    prepare(TINY, archives, data, quiet)
    folder = data / "wmt"
    wanted = contents(folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    prepare(TINY, archives, data, quiet)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times

    damaged = folder / "train.inputs.npy"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    prepare(TINY, archives, data, quiet)  # its size is right, its sum is not
    assert contents(folder) == wanted

    damaged.unlink()
    with pytest.raises(DataError, match=r"train.inputs.npy is missing; prepare again"):
        find_manifest(TINY, DataRequest(data_dir=data))
    prepare(TINY, archives, data, quiet)
    assert contents(folder) == wanted


def test_other_raw_data_or_settings_are_prepared_anew(
    archives: Path, data: Path, tmp_path: Path
) -> None:
    prepare(TINY, archives, data, quiet)
    first = manifest_of(data / "wmt")
    shorter = replace(TINY, max_length=30)
    with pytest.raises(DataError, match="was prepared with other settings"):
        find_manifest(shorter, DataRequest(data_dir=data))
    prepare(shorter, archives, data, quiet)
    assert manifest_of(data / "wmt")["settings"]["max_length"] == 30
    changed = write_archives(tmp_path / "changed", {SOURCE: b"eins\n" * 30})
    prepare(TINY, changed, data, quiet)
    assert manifest_of(data / "wmt")["files"] != first["files"]


def test_raw_files_may_go_once_all_is_prepared(archives: Path, data: Path, tmp_path: Path) -> None:
    prepare(TINY, archives, data, quiet)
    (tmp_path / "empty").mkdir()
    prepare(TINY, tmp_path / "empty", data, quiet)
    assert needed_bytes(TINY, tmp_path / "empty", data) == 0


class Stopped(Exception):  # noqa: N818 (stands for a kill)
    """The moment at which a run is interrupted."""


@pytest.mark.parametrize("n_reports", range(1, 30, 4))
def test_an_interrupted_run_goes_on(
    n_reports: int, archives: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.wmt.blocks.N_PER_BLOCK", 16)
    left = n_reports

    def stopping(what: str, done: int, total: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped

    with pytest.raises(Stopped):
        prepare(TINY, archives, data, stopping)
    assert not (data / "wmt" / "manifest.json").exists()
    prepare(TINY, archives, data, quiet)
    prepare(TINY, archives, tmp_path / "whole", quiet)
    assert contents(data / "wmt") == contents(tmp_path / "whole" / "wmt")


def test_finished_blocks_are_not_made_again(
    archives: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.wmt.blocks.N_PER_BLOCK", 16)
    encoded: list[int] = []
    encode = Tokenizer.encode

    def counted(self: Tokenizer, sentences: list[str], n_threads: int = 1) -> list[list[int]]:
        if len(encoded) == 8:
            raise Stopped
        encoded.append(len(sentences))
        return encode(self, sentences, n_threads)

    monkeypatch.setattr(Tokenizer, "encode", counted)
    with pytest.raises(Stopped):
        prepare(TINY, archives, data, quiet)
    state = data / "wmt" / ".prepare"
    assert len(list(state.glob("train.*.npz"))) == 4
    (state / "train.00001.npz").write_bytes(b"cut off")
    encoded.clear()
    monkeypatch.setattr(Tokenizer, "encode", lambda *a: encoded.append(len(a[1])) or encode(*a))
    prepare(TINY, archives, data, quiet)
    # the damaged block, then 36 pairs of train in three blocks, then validation and test
    assert encoded == [16] * 2 + [16, 16] * 2 + [4, 4] + [N_VALIDATION] * 2 + [N_TEST] * 2


def test_pairs_with_an_empty_side_are_left_out_and_counted(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = lines_of(TINY.parts["train"][1])[0]
    raw = write_archives(tmp_path / "raw", {SOURCE: file_of(SOURCE, ["", *lines[1:-1], ""])})
    prepare(TINY, raw, data, quiet)
    counts = manifest_of(data / "wmt")["counts"]["train"]
    assert (counts["pairs"], counts["empty"], counts["kept"]) == (98, 2, 98)
    assert "train: 2 pairs left out, a side is empty" in caplog.text


def test_pairs_that_are_too_long_are_left_out_and_counted(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = lines_of(TINY.parts["train"][1])[1]
    long = [" ".join(lines), *lines[1:]]
    raw = write_archives(tmp_path / "raw", {TARGET: file_of(TARGET, long)})
    with caplog.at_level(logging.WARNING):
        prepare(TINY, raw, data, quiet)
    counts = manifest_of(data / "wmt")["counts"]["train"]
    assert (counts["pairs"], counts["too_long"], counts["kept"]) == (100, 1, 99)
    assert "train: 1 pairs left out, a side has more than 40 tokens" in caplog.text
    longest = max(map(len, sentences_of(data / "wmt", "train", "targets")))
    assert longest <= 40


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {SOURCE: b"eins\nzwei\n"},
            r"commoncrawl.de-en.de has 2 lines and .*commoncrawl.de-en.en 30; line by line",
        ),
        (
            {TARGET: file_of(TARGET, lines_of(TINY.parts["train"][1])[1][:7]) + b"caf\xe9 au\n"},
            r"commoncrawl.de-en.en, line 8, is not UTF-8",
        ),
        ({SOURCE: b""}, r"commoncrawl.de-en.de is empty"),
        ({SOURCE: b"\n" * 30, TARGET: b"\n" * 29}, r"has 30 lines and .* 29"),
    ],
)
def test_files_that_do_not_go_together_are_named(
    changed: dict[str, bytes], message: str, data: Path, tmp_path: Path
) -> None:
    raw = write_archives(tmp_path / "raw", changed)
    with pytest.raises(DataError, match=message):
        prepare(TINY, raw, data, quiet)


def test_a_last_line_without_newline_counts(data: Path, tmp_path: Path) -> None:
    content = file_of(SOURCE, lines_of(TINY.parts["train"][1])[0]).rstrip(b"\n")
    raw = write_archives(tmp_path / "raw", {SOURCE: content})
    prepare(TINY, raw, data, quiet)
    assert manifest_of(data / "wmt")["counts"]["train"]["pairs"] == 100


def test_an_archive_that_is_cut_off_is_named(archives: Path, data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in archives.iterdir():
        content = path.read_bytes()
        (raw / path.name).write_bytes(
            content[: len(content) // 2] if path.name == RAPID else content
        )
    with pytest.raises(DataError, match=r"rapid2016.tgz is cut off or damaged .*download it again"):
        prepare(TINY, raw, data, quiet)


def test_an_archive_that_lacks_its_files_is_named(data: Path, tmp_path: Path) -> None:
    import tarfile

    raw = write_archives(tmp_path / "raw")
    with tarfile.open(raw / RAPID, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("other"), io.BytesIO())
    with pytest.raises(DataError, match=r"rapid2016.tgz lacks rapid2016.de-en.de and"):
        prepare(TINY, raw, data, quiet)


def test_archives_that_are_missing_are_named(data: Path, tmp_path: Path) -> None:
    raw = write_archives(tmp_path / "raw")
    (raw / RAPID).unlink()
    (raw / "dev.tgz").unlink()
    for do in (lambda: prepare(TINY, raw, data, quiet), lambda: needed_bytes(TINY, raw, data)):
        with pytest.raises(DataError, match=r"lacks rapid2016.tgz for train; dev.tgz for valid"):
            do()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"holds none of training-parallel-europarl-v7.tgz"):
        prepare(TINY, empty, data, quiet)


def test_one_language_alone_is_not_enough(data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train.de").write_text("a\n")
    with pytest.raises(DataError, match=r"train.de has no train.en beside it"):
        prepare(TINY, raw, data, quiet)


def test_archives_of_the_published_size_have_the_published_sum(
    archives: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = (archives / RAPID).stat().st_size
    published = {RAPID: Published(n_bytes=n_bytes, algorithm="sha256", digest="0" * 64)}
    monkeypatch.setattr(preparing, "ARCHIVES", published)
    with pytest.raises(DataError, match=r"rapid2016.tgz has SHA256 .* not the published 000"):
        prepare(TINY, archives, data, quiet)


def test_a_second_preparation_is_refused(archives: Path, data: Path) -> None:
    with (
        locked(data / "wmt" / ".prepare"),
        pytest.raises(DataError, match="is being prepared by another process"),
    ):
        prepare(TINY, archives, data, quiet)


def test_what_the_disk_says_is_one_line(archives: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="run the same command again"):
        prepare(TINY, archives, tmp_path / "file", quiet)
