"""Reading columns of many CSV files: the same numbers as the csv module and float() give."""

from __future__ import annotations

import csv
import io
import math
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.columns import Request, read_columns

WANTED = (("b",), ("x", "c"), ("a",))


def numbers(column: Any) -> list[float]:
    """Give a column, whatever buffer of float64 it comes as, as a list."""
    return np.frombuffer(bytes(memoryview(column)), np.float64).tolist()


def read(path: Path, data: str | bytes, *wanted: tuple[str, ...]) -> tuple[list[list[float]], int]:
    """Write a file; give its columns and the number of damaged lines."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    (content,) = read_columns([Request(str(path), wanted)])
    assert content.error == ""
    return [numbers(column) for column in content.columns], content.n_damaged


def with_csv(text: str, wanted: Sequence[tuple[str, ...]]) -> tuple[list[list[float]], int]:
    """Give the same with csv.reader: lines of another length or without a number are damaged."""
    header, *lines = list(csv.reader(io.StringIO(text, newline="")))
    names = [next((n for n in options if n in header), None) for options in wanted]
    rows, n_damaged = [], 0
    for line in lines:
        if not line:
            continue
        cells = dict(zip(header, line, strict=False))
        try:
            row = [float(cells[n] or "nan") if n is not None else math.nan for n in names]
        except (KeyError, ValueError):
            n_damaged += 1
            continue
        if len(line) == len(header):
            rows.append(row)
        else:
            n_damaged += 1
    return [[row[i] for row in rows] for i in range(len(wanted))], n_damaged


def check_same(one: list[list[float]], other: list[list[float]]) -> None:
    """Check that columns are equal to the bit, NaN being equal to NaN."""
    assert [len(column) for column in one] == [len(column) for column in other]
    for ours, theirs in zip(one, other, strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write to, again and again."""
    return tmp_path_factory.mktemp("columns") / "table.csv"


NUMBER = st.one_of(
    st.floats(allow_subnormal=True).map(repr),
    st.integers(-(10**12), 10**12).map(str),
    st.floats(width=32).map(lambda x: f"{x:.6e}"),
    st.sampled_from(["", "nan", "NaN", "inf", "-Infinity", "0", "-0.0", "1e400", " 2.5 "]),
)
CELL = st.one_of(NUMBER, st.sampled_from(["x", "1.2.3", "--", "1,2", "#"]))


def tables(cell: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[list[str], list[list[str]]]]:
    """Give headers of a to d in any order with lines of as many cells."""
    headers = st.permutations(["a", "b", "c", "d"])
    return st.tuples(headers, st.lists(st.lists(cell, min_size=4, max_size=4), max_size=8))


def as_text(header: list[str], lines: list[list[str]], end: str, has_last_end: bool) -> str:
    """Join cells to a file."""
    text = "".join(",".join(line) + end for line in [header, *lines])
    return text if has_last_end else text.removesuffix(end)


@given(tables(NUMBER), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_columns_of_numbers_are_those_of_the_csv_module(
    path: Path, table: tuple[list[str], list[list[str]]], end: str, has_last_end: bool
) -> None:
    text = as_text(*table, end, has_last_end)
    columns, n_damaged = read(path, text, *WANTED)
    expected, _ = with_csv(text, WANTED)
    check_same(columns, expected)
    assert n_damaged == 0
    assert len(columns[0]) == len(table[1])


@given(tables(CELL), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(0, 40))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_damaged_lines_are_left_out_and_counted_as_with_the_csv_module(
    path: Path,
    table: tuple[list[str], list[list[str]]],
    end: str,
    has_last_end: bool,
    n_cut_off: int,
) -> None:
    header, lines = table
    text = as_text(header, lines, end, has_last_end)
    body = len(as_text(header, [], end, True))
    text = text[: max(body, len(text) - n_cut_off)]
    columns, n_damaged = read(path, text, *WANTED)
    expected, n_expected = with_csv(text, WANTED)
    check_same(columns, expected)
    assert n_damaged == n_expected


def test_a_table_worked_by_hand(path: Path) -> None:
    text = "a,b,c\n1,2,3\n4,,6\n7,8,nan\n"
    columns, n_damaged = read(path, text, ("c",), ("a",), ("b",))
    check_same(columns, [[3.0, 6.0, math.nan], [1.0, 4.0, 7.0], [2.0, math.nan, 8.0]])
    assert n_damaged == 0


def test_of_several_names_the_first_that_is_there_is_read(path: Path) -> None:
    assert read(path, "a,b\n1,2\n", ("b", "a"))[0] == [[2.0]]
    assert read(path, "a,b\n1,2\n", ("x", "a", "b"))[0] == [[1.0]]


def test_a_column_that_is_not_there_is_blank_and_as_long_as_the_others(path: Path) -> None:
    columns, n_damaged = read(path, "a,b\n1,2\n3,4\n", ("x",), ("a",))
    check_same(columns, [[math.nan, math.nan], [1.0, 3.0]])
    assert n_damaged == 0


def test_a_column_may_be_asked_for_twice(path: Path) -> None:
    assert read(path, "a,b\n1,2\n", ("a",), ("b", "a"), ("a",))[0] == [[1.0], [2.0], [1.0]]


@pytest.mark.parametrize(
    ("text", "b", "n_damaged"),
    [
        ("a,b\n1,2\n3\n5,6\n", [2.0, 6.0], 1),  # too short
        ("a,b\n1,2\n3,4,5\n5,6\n", [2.0, 6.0], 1),  # too long
        ("a,b\n1,2\n3,x\n5,6\n", [2.0, 6.0], 1),  # no number in a wanted cell
        ("a,b\n1,2\nx,4\n5,6\n", [2.0, 4.0, 6.0], 0),  # no number in another cell
        ("a,b\n1,2\n\n5,6\n", [2.0, 6.0], 0),  # an empty line
        ("a,b\n1,2\n5,6", [2.0, 6.0], 0),  # no line break at the end
        ("a,b\n1,2\n5,", [2.0, math.nan], 0),  # a blank cell, or cut off: nobody knows
        ("a,b\n1,2\n5", [2.0], 1),
        ("a,b\r\n1,2\r\n3\r\n5,6\r\n", [2.0, 6.0], 1),
        ("a,b\n", [], 0),
        ("a,b", [], 0),
        ("a,b\r\n", [], 0),
    ],
)
def test_lines_worked_by_hand(path: Path, text: str, b: list[float], n_damaged: int) -> None:
    columns, n_found = read(path, text, ("b",))
    check_same(columns, [b])
    assert n_found == n_damaged


def test_bytes_that_are_no_text_are_damaged_lines(path: Path) -> None:
    columns, n_damaged = read(path, b"a,b\n1,2\n\xff,\xfe\n\x00,\x00\n5,6\n", ("a",), ("b",))
    assert columns == [[1.0, 5.0], [2.0, 6.0]]
    assert n_damaged == 2


def test_an_empty_or_absent_file_has_an_error_and_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "whole.csv").write_text("a\n1\n")
    (tmp_path / "folder.csv").mkdir()
    names = ("absent", "empty", "folder", "whole")
    requests = [Request(str(tmp_path / f"{name}.csv"), (("a",),)) for name in names]
    absent, empty, folder, whole = read_columns(requests)
    assert absent.error == "No such file or directory"
    assert empty.error == "it is empty"
    assert folder.error == "Is a directory"
    assert whole.error == ""
    assert numbers(whole.columns[0]) == [1.0]


def test_no_request_gives_no_content() -> None:
    assert read_columns([]) == []


def _counted(start: Callable[..., Any], started: list[object]) -> Callable[..., Any]:
    def start_and_count(*args: Any, **options: Any) -> Any:
        process = start(*args, **options)
        started.append(process)
        return process

    return start_and_count


def test_several_processes_give_the_same_as_one_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 1301  # of which every 7th is absent and every 5th has a damaged line
    requests = []
    for i in range(n):
        path = tmp_path / f"{i}.csv"
        if i % 7:
            path.write_text(f"a,b\n{i},{i / 3!r}\n" + ("x" if i % 5 == 0 else ""))
        requests.append(Request(str(path), (("b",), ("absent",), ("x", "a"))))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    started: list[object] = []
    start = subprocess.Popen
    counting = SimpleNamespace(PIPE=subprocess.PIPE, Popen=_counted(start, started))
    monkeypatch.setattr("scoring.columns.subprocess", counting)
    at_once = read_columns(requests)
    assert len(started) >= 2
    one_by_one = [content for request in requests for content in read_columns([request])]
    assert len(at_once) == n
    for i, (content, alone) in enumerate(zip(at_once, one_by_one, strict=True)):
        assert (content.error, content.n_damaged) == (alone.error, alone.n_damaged)
        check_same([numbers(c) for c in content.columns], [numbers(c) for c in alone.columns])
        if i % 7:
            check_same([numbers(c) for c in content.columns], [[i / 3], [math.nan], [float(i)]])
            assert content.n_damaged == (i % 5 == 0)
        else:
            assert content.error == "No such file or directory"
