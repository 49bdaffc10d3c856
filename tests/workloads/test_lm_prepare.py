"""From raw text to streams of tokens: what is written, resumed, and refused."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.seeds import example_seeds
from tests.workloads.lm_raw import (
    TEXTS,
    TINY,
    plain_tokens,
    texts_of,
    train_merges,
    write_json_lines,
    write_parquet,
    write_plain,
    write_raw,
    write_vocabulary,
)
from workloads.lm import blocks, writing
from workloads.lm.documents import BEGINNING, read_blocks
from workloads.lm.prepare import needed_bytes, prepare


def silent(what: str, done: int, total: int) -> None:
    """Take a report."""
    assert 0 <= done <= total, what


def streams_of(folder: Path) -> dict[str, list[int]]:
    """Give the tokens of every split, file after file."""
    return {
        split: [
            token
            for path in sorted(folder.glob(f"{split}-*.npy"))
            for token in np.load(path).tolist()
        ]
        for split in ("train", "validation")
    }


def wanted_streams(texts: list[str], vocabulary: dict[str, int]) -> dict[str, list[int]]:
    """Give the streams of texts, worked out document by document."""
    merges = train_merges(TEXTS)
    seeds = example_seeds(0, 0, np.arange(len(texts))).tolist()
    order = sorted(range(len(texts)), key=lambda i: seeds[i])
    n_train = int(0.9 * len(texts))
    documents = [plain_tokens(texts[i], merges, vocabulary) for i in order]
    train, others = (
        list(itertools.chain.from_iterable(part))
        for part in (documents[:n_train], documents[n_train:])
    )
    return {"train": train, "validation": others[: 10 * 8]}


def prepared(tmp_path: Path) -> tuple[Path, Path, list[str]]:
    """Give a raw folder, the folder prepared from it, and its texts."""
    raw = tmp_path / "raw"
    texts = write_raw(raw)
    prepare(TINY, raw, tmp_path / "data", silent)
    return raw, tmp_path / "data" / TINY.folder, texts


def test_the_streams_hold_the_shuffled_documents_with_an_end_behind_each(tmp_path: Path) -> None:
    raw, folder, texts = prepared(tmp_path)
    vocabulary = json.loads((raw / "vocab.json").read_text())
    assert streams_of(folder) == wanted_streams(texts, vocabulary)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["documents"] == {"train": 54, "validation": 6}
    assert manifest["empty_documents"] == 0
    assert not (folder / ".prepare").exists()


def test_small_files_and_blocks_and_interruptions_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, folder, _ = prepared(tmp_path)
    wanted = streams_of(folder)
    monkeypatch.setattr(writing, "SHARD_TOKENS", 100)
    monkeypatch.setattr(blocks, "read_blocks", lambda path, start: read_blocks(path, start, 150))
    seen: set[str] = set()

    class InterruptionError(Exception):
        pass

    def interrupting(what: str, done: int, total: int) -> None:
        silent(what, done, total)
        if f"{what} {done}" not in seen:  # every stage is interrupted once
            seen.add(f"{what} {done}")
            raise InterruptionError

    other = tmp_path / "other"
    n_runs = 0
    while not (other / TINY.folder / "manifest.json").is_file():
        n_runs += 1
        assert n_runs < 200
        part = other / TINY.folder / ".prepare" / "tokens.bin"
        if part.is_file():  # a block that was written without its note is written again
            part.write_bytes(part.read_bytes() + b"\x01\x02")
        with contextlib.suppress(InterruptionError):
            prepare(TINY, raw, other, interrupting)
    assert n_runs == len(seen) + 1 > 10
    assert streams_of(other / TINY.folder) == wanted
    assert len(list((other / TINY.folder).glob("train-*.npy"))) > 3


def test_what_is_whole_is_kept_and_what_is_damaged_written_again(tmp_path: Path) -> None:
    raw, folder, _ = prepared(tmp_path)
    data, wanted = folder.parent, streams_of(folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert needed_bytes(TINY, raw, data) == 0
    prepare(TINY, raw, data, silent)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    damaged = bytearray((folder / "train-00000.npy").read_bytes())
    damaged[-1] ^= 1
    (folder / "train-00000.npy").write_bytes(damaged)
    prepare(TINY, raw, data, silent)
    assert streams_of(folder) == wanted
    for path in raw.iterdir():  # the raw files may be deleted
        path.unlink()
    prepare(TINY, raw, data, silent)
    write_raw(raw, n_texts=30)
    assert needed_bytes(TINY, raw, data) > 0
    prepare(TINY, raw, data, silent)
    assert json.loads((folder / "manifest.json").read_text())["documents"]["train"] == 27


def test_train_gets_the_published_number_of_windows_where_90_percent_is_near_it() -> None:
    lengths = np.full(1000, 100, np.int64)  # 90 % are 90,000 tokens
    for published, wanted in ((89_950, 89_950), (90_050, 90_050), (89_000, 90_000)):
        corpus = replace(TINY, context=9, sizes={"train": published // 10, "validation": 7})
        parts = writing.split_documents(corpus, lengths)
        assert parts["train"].n_tokens == wanted, published
        assert parts["validation"].n_tokens == 70
        together = np.concatenate([parts["train"].order_N, parts["validation"].order_N])
        assert sorted(together.tolist()) == list(range(1000))
        assert len(parts["train"].order_N) == -(-wanted // 100)


def test_empty_documents_are_left_out_and_counted(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_vocabulary(raw)
    texts = texts_of(12)
    write_json_lines(raw / "a.jsonl", ["", *texts[:6], ""])
    (raw / "a.jsonl").write_text((raw / "a.jsonl").read_text() + "\n", encoding="utf-8")
    write_parquet(raw / "b.parquet", [None, *texts[6:], ""])
    prepare(TINY, raw, tmp_path / "data", silent)
    manifest = json.loads((tmp_path / "data" / TINY.folder / "manifest.json").read_text())
    assert manifest["empty_documents"] == 5  # with the empty line of the first file
    assert sum(manifest["documents"].values()) == 12


def broken(lines: list[bytes]) -> Callable[[Path], None]:
    """Give a function that writes a file of these lines."""
    return lambda path: path.with_suffix(".jsonl").write_bytes(b"\n".join([*lines, b""]))


def cut_parquet(path: Path) -> None:
    """Write a Parquet file without its last bytes."""
    write_parquet(path.with_suffix(".parquet"), texts_of(9))
    data = path.with_suffix(".parquet").read_bytes()
    path.with_suffix(".parquet").write_bytes(data[:-20])


def damaged_parquet(path: Path) -> None:
    """Write a Parquet file whose first rows are zeros."""
    write_parquet(path.with_suffix(".parquet"), texts_of(9))
    data = bytearray(path.with_suffix(".parquet").read_bytes())
    data[4:200] = bytes(196)
    path.with_suffix(".parquet").write_bytes(data)


def binary_parquet(path: Path) -> None:
    """Write a Parquet file with a row that is not UTF-8."""
    import pyarrow
    from pyarrow import parquet

    column = pyarrow.array([b"fine", b"fine", b"\xff\xfe"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": column}), path.with_suffix(".parquet"))


def textless_parquet(path: Path) -> None:
    """Write a Parquet file of numbers."""
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"number": [1, 2]}), path.with_suffix(".parquet"))


def latin_text(path: Path) -> None:
    """Write plain text that is not UTF-8."""
    path.with_suffix(".txt").write_bytes("eins\n\nzwei\nfünf\n".encode("latin-1"))


GOOD = b'{"text": "fine"}'


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (broken([GOOD, b'{"text": "\xff"}']), r"bad\.jsonl, line 2, is not UTF-8"),
        (broken([GOOD, GOOD, b'{"text": "cut o']), r"bad\.jsonl, line 3, is not JSON"),
        (broken([b'{"body": "x"}']), r'bad\.jsonl, line 1, is no object with a string "text"'),
        (broken([b"[1]"]), r"bad\.jsonl, line 1, is no object"),
        (broken([GOOD, b'{"text": null}']), r"bad\.jsonl, line 2, is no object with a string"),
        (broken([b'{"text": "\\ud800"}']), r"bad\.jsonl, line 1, holds half a character"),
        (latin_text, r"bad\.txt, line 4, is not UTF-8"),
        (cut_parquet, r"bad\.parquet is cut off or damaged .*download it again"),
        (damaged_parquet, r"bad\.parquet, rows 1 to 4, cannot be read"),
        (binary_parquet, r"bad\.parquet, row 3, is not UTF-8"),
        (textless_parquet, r"bad\.parquet has no column 'text' of strings \(it has number\)"),
    ],
)
def test_bad_input_is_named_with_its_file_and_line_or_row(
    tmp_path: Path, write: Callable[[Path], Any], message: str
) -> None:
    raw = tmp_path / "raw"
    write_vocabulary(raw)
    write(raw / "bad")
    with pytest.raises(DataError, match=message):
        prepare(TINY, raw, tmp_path / "data", silent)
    assert not (tmp_path / "data" / TINY.folder / "manifest.json").exists()


def test_a_raw_folder_without_text_or_vocabulary_is_an_error(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    with pytest.raises(DataError, match=r"no vocab\.json"):
        prepare(TINY, raw, tmp_path / "data", silent)
    write_vocabulary(raw)
    for function in (
        lambda: prepare(TINY, raw, tmp_path, silent),
        lambda: needed_bytes(TINY, raw, tmp_path),
    ):
        with pytest.raises(DataError, match=r"holds no \.jsonl, \.txt, \.parquet files"):
            function()


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".parquet"])
def test_reading_goes_on_at_the_end_of_any_block(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write: Any = {".jsonl": write_json_lines, ".txt": write_plain, ".parquet": write_parquet}[
        suffix
    ]
    texts = texts_of(23)
    write(path, texts)
    whole = [text.rstrip("\n") for block in read_blocks(path) for text in block.texts]
    assert whole == texts
    found, place = [], BEGINNING
    while True:
        block = next(read_blocks(path, place, 60))
        if not block.texts:
            break
        found += [text.rstrip("\n") for text in block.texts]
        place = block.stop
    assert found == texts
