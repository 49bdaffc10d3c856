"""Lines of click logs become numbers and ids as AlgoPerf's; what is wrong is named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from tests.support import REPOSITORY
from tests.workloads.criteo_raw import examples, lines
from workloads.criteo.columns import BUCKETS, ID_TYPES
from workloads.criteo.farmhash import fingerprint64, fingerprints64
from workloads.criteo.parse import Rows, parse

REAL = REPOSITORY.parent / "shared" / "data" / "criteo"
GOOD = b"\t".join([b"1", *[b"3"] * 13, *[b"68fd1e64"] * 26]) + b"\n"


def inputs_of(rows: Rows) -> np.ndarray:
    return np.concatenate([rows.numbers_DN, rows.ids_CN]).T.astype(np.float32)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Google BigQuery's documentation of FARM_FINGERPRINT, as signed numbers.
        ("1footrue", -1541654101129638711),
        ("2applefalse", 2794438866806483259),
        ("3true", -4880158226897771312),
        # Google's own code, called through pyfarmhash 0.4.
        ("", 0x9AE16A3B2F90404F),
        ("7", 0x8831601F30043498),
        ("abc25", 0x72C072A66BCB161E),
        ("000000000", 0x1F879384B8CB0B6B),
        ("0000000025", 0x8DD57BA7E7FAB108),
        ("68fd1e6425", 0x17D2FC6D9FF3872E),
        ("0123456789abcdef", 0x54B961E5DC834067),
    ],
)
def test_fingerprints_are_the_published_ones(text: str, value: int) -> None:
    assert fingerprint64(text.encode()) == value % 2**64


def test_buckets_are_those_of_tensorflows_documentation() -> None:
    """tf.strings.to_hash_bucket_fast(["Hello", "TensorFlow", "2.x"], 3) gives [0, 2, 2]."""
    assert [fingerprint64(t) % 3 for t in (b"Hello", b"TensorFlow", b"2.x")] == [0, 2, 2]


def test_many_fingerprints_are_those_of_the_strings_one_by_one() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**64, 100, dtype=np.uint64)
    for suffix in (b"0", b"25", b"abcdefgh"):
        singly = [fingerprint64(word.tobytes() + suffix) for word in words]
        assert fingerprints64(words, suffix).tolist() == singly


def test_a_string_too_long_to_be_hashed_here_is_refused() -> None:
    with pytest.raises(ValueError, match="17 bytes"):
        fingerprint64(b"x" * 17)


def test_lines_become_what_the_slow_reference_makes_of_them() -> None:
    text = lines(300, seed=0)
    inputs, targets = examples(text)
    rows = parse(text, "file", 1)
    assert np.array_equal(inputs_of(rows)[:, 13:], inputs[:, 13:])
    np.testing.assert_allclose(inputs_of(rows)[:, :13], inputs[:, :13], rtol=3e-7)
    assert np.array_equal(rows.labels_N[:, None], targets)


@pytest.mark.parametrize("path", sorted(REAL.glob("*/*.tsv")), ids=lambda p: p.name)
def test_real_lines_become_what_the_slow_reference_makes_of_them(path: Path) -> None:
    text = path.read_bytes()
    inputs, targets = examples(text)
    rows = parse(text, str(path), 1)
    assert np.array_equal(inputs_of(rows)[:, 13:], inputs[:, 13:])
    np.testing.assert_allclose(inputs_of(rows)[:, :13], inputs[:, :13], rtol=3e-7)
    assert np.array_equal(rows.labels_N[:, None], targets)


def test_numbers_of_any_length_are_read_and_those_below_0_count_as_0() -> None:
    numbers = [b"0", b"7", b"42", b"12345678", b"123456789", b"2147483647", b"", b"-1", b"-2"]
    numbers += [b"-123456789", b"00000012", b"007", b"99999999"]
    text = b"\t".join([b"0", *numbers, *[b""] * 26]) + b"\n"
    wanted = [0, 7, 42, 12345678, 123456789, 2147483647, 0, 0, 0, 0, 12, 7, 99999999]
    wanted = np.log(np.array(wanted, np.float32) + np.float32(1))
    rows = parse(text, "file", 1)
    np.testing.assert_allclose(rows.numbers_DN[:, 0], wanted, rtol=2e-7)


def test_missing_categories_and_minus_one_are_eight_zeros() -> None:
    texts = [b""] * 13 + [b"-1"] * 13
    rows = parse(b"\t".join([b"", *[b""] * 13, *texts]) + b"\n", "file", 1)
    wanted = [fingerprint64(b"00000000%d" % c) % n for c, n in enumerate(BUCKETS)]
    assert rows.ids_CN[:, 0].tolist() == wanted
    assert rows.labels_N.tolist() == [0]


def test_ids_fit_their_types_and_logarithms_are_float32() -> None:
    rows = parse(lines(200, seed=1), "file", 1)
    assert rows.numbers_DN.dtype == np.float32
    for column, ids in enumerate(rows.ids_CN):
        assert ids.max() < BUCKETS[column] <= np.iinfo(ID_TYPES[column]).max + 1


def changed(field: int, text: bytes) -> bytes:
    """Give the good line with another field."""
    fields = GOOD.rstrip(b"\n").split(b"\t")
    fields[field] = text
    return b"\t".join(fields) + b"\n"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (GOOD.rpartition(b"\t")[0] + b"\n", "line 12: 39 fields; a label, 13 numbers and 26"),
        (GOOD.rstrip(b"\n") + b"\t\n", "line 12: 41 fields"),
        (b"\n", "line 12: 1 fields"),
        (changed(0, b"2"), "line 12: the label is b'2', not 0 or 1"),
        (changed(3, b"1.5"), "line 12, field 4: b'1.5' is not a number"),
        (changed(3, b"1-5"), "line 12, field 4: b'1-5' is not a number"),
        (changed(3, b"-"), "line 12, field 4: b'-' is not a number"),
        (changed(3, b"--1"), "line 12, field 4: b'--1' is not a number"),
        (changed(3, b"12a"), "line 12, field 4: b'12a' is not a number"),
        (changed(3, b"12345678a"), "line 12, field 4: b'12345678a' is not a number"),
        (changed(20, b"68fd1e6g"), "line 12, field 21: b'68fd1e6g' is not a hexadecimal"),
        (changed(20, b"68fd1e64a"), "line 12, field 21: b'68fd1e64a' is not a hexadecimal"),
        (changed(20, b"-8fd1e64"), "line 12, field 21: b'-8fd1e64' is not a hexadecimal"),
        (changed(20, b"-2"), "line 12, field 21: b'-2' is not a hexadecimal"),
        (changed(39, b"68fd1e64\r"), r"line 12, field 40: b'68fd1e64\r' is not a hexadecimal"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_its_file(bad: bytes, error: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"day_0, {error}")):
        parse(GOOD + bad + GOOD, "day_0", 11)


def test_lines_whose_fields_only_add_up_are_found() -> None:
    fields = GOOD.rstrip(b"\n").split(b"\t")
    short, long = b"\t".join(fields[:39]) + b"\n", b"\t".join([*fields, b"1"]) + b"\n"
    with pytest.raises(DataError, match="line 1: 39 fields"):
        parse(short + long, "day_0", 1)
