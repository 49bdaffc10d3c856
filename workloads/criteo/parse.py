"""Parses lines of click logs, some thousand at a time: numbers to logarithms, categories to ids.

What AlgoPerf v0.6 computes while it trains (`input_pipeline`) is computed once here. A number x
becomes log(max(x, 0) + 1) in float32, and a category of column c becomes the fingerprint of its
text followed by "c", modulo the buckets of c. All lines of a block are taken apart together: the
places of tabs and line ends are found, and fields of up to 8 bytes are read as one 64-bit word.

Letters: N lines, F fields (40), D numbers (13), C categories (26).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.criteo.columns import (
    BUCKETS,
    MISSING_CATEGORY,
    N_CATEGORIES,
    N_FIELDS,
    N_NUMBERS,
)
from workloads.criteo.farmhash import fingerprint64, fingerprints64

Words = NDArray[np.uint64]
Places = NDArray[np.int64]

_WORD = 8
_ALLOWED = b"0123456789abcdefABCDEF-\t\n"
_ONES, _ZEROS = np.uint64(2**64 - 1), np.uint64(0x3030303030303030)  # eight times "0"
_NUMBER = re.compile(rb"-?[0-9]+|")
_CATEGORY = re.compile(rb"[0-9a-fA-F]{1,8}|-1|")
_MISSING_WORD = np.uint64(int.from_bytes(MISSING_CATEGORY, "little"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Parsed lines, column by column."""

    labels_N: NDArray[np.uint8]
    numbers_DN: NDArray[np.float32]
    ids_CN: NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fields:
    """A block's bytes, with 8 more at both ends, and where its fields are in there."""

    data: bytes
    starts_FN: Places
    ends_FN: Places

    def bytes_at(self, field: int, line: int) -> bytes:
        return self.data[self.starts_FN[field, line] : self.ends_FN[field, line]]

    def words_at(self, places: Places) -> Words:
        """Give the 8 bytes from each place on; the places need not be multiples of 8."""
        words: Words = np.ndarray((len(self.data) - 7,), "<u8", self.data, strides=(1,))
        return words[places]


def parse(block: bytes, file: str, first_line: int) -> Rows:
    """Parse whole lines of a file, which begin with its line `first_line`, counted from 1.

    Raises DataError with file and line where a line has not 40 fields, a label is not 0 or 1, a
    number not a whole one, or a category not hexadecimal with at most 8 digits.
    """
    rows = _parse(block)
    if rows is None:
        raise DataError(_first_error(block, file, first_line))
    return rows


def _parse(block: bytes) -> Rows | None:
    """Give the rows, or None if something is wrong somewhere."""
    fields = None if block.translate(None, _ALLOWED) else _find_fields(block)
    if fields is None:
        return None
    numbers, categories = _parse_numbers(fields), _parse_categories(fields)
    if numbers is None or categories is None:
        return None
    (numbers_FN, n_signs), (ids_CN, n_absent) = numbers, categories
    if numbers_FN[0].max(initial=0) > 1 or n_signs + n_absent != block.count(b"-"):
        return None
    return Rows(
        labels_N=numbers_FN[0].astype(np.uint8),
        numbers_DN=np.log(numbers_FN[1:] + np.float32(1)),
        ids_CN=ids_CN,
    )


def _find_fields(block: bytes) -> _Fields | None:
    data = bytes(_WORD) + block + bytes(_WORD)
    is_break = np.frombuffer(block, np.uint8) <= ord("\n")
    breaks = np.flatnonzero(is_break)
    if len(breaks) % N_FIELDS or not block.endswith(b"\n"):
        return None
    breaks_NF = breaks.reshape(-1, N_FIELDS)
    n_lines = len(breaks_NF)
    text = np.frombuffer(block, np.uint8)
    if block.count(b"\n") != n_lines or not np.all(text[breaks_NF[:, -1]] == ord("\n")):
        return None
    ends_FN = np.ascontiguousarray(breaks_NF.T) + _WORD
    starts_FN = np.empty_like(ends_FN)
    starts_FN[1:] = ends_FN[:-1] + 1
    starts_FN[0, 1:] = ends_FN[-1, :-1] + 1
    starts_FN[0, 0] = _WORD
    return _Fields(data=data, starts_FN=starts_FN, ends_FN=ends_FN)


def _parse_numbers(fields: _Fields) -> tuple[NDArray[np.float32], int] | None:
    """Give max(x, 0) of labels and numbers, and how many have a sign; None if one is none."""
    ends_FN = fields.ends_FN[: 1 + N_NUMBERS]
    starts_FN = fields.starts_FN[: 1 + N_NUMBERS]
    text = np.frombuffer(fields.data, np.uint8)
    is_negative_FN = text[starts_FN] == ord("-")
    n_digits_FN = ends_FN - starts_FN - is_negative_FN
    n_signs = int(is_negative_FN.sum())
    if n_signs and n_digits_FN[is_negative_FN].min() == 0:
        return None
    # The last digits are the highest bytes of a word that ends with the field; "0" fills it up.
    n_others_FN = np.maximum(_WORD - n_digits_FN, 0).astype(np.uint64) * np.uint64(8)
    mask_FN = np.left_shift(_ONES, n_others_FN)  # all shifted out where there is no digit
    words_FN = fields.words_at(ends_FN - _WORD)
    words_FN ^= _ZEROS
    words_FN &= mask_FN
    wrong_FN = (words_FN + np.uint64(0x7676767676767676)) | words_FN  # above 9: the highest bit
    if np.any(wrong_FN & np.uint64(0x8080808080808080)):
        return None
    words_FN *= np.uint64(10 * 2**8 + 1)  # pairs of digits, then fours, then all eight
    words_FN >>= np.uint64(8)
    words_FN &= np.uint64(0x00FF00FF00FF00FF)
    words_FN *= np.uint64(100 * 2**16 + 1)
    words_FN >>= np.uint64(16)
    words_FN &= np.uint64(0x0000FFFF0000FFFF)
    words_FN *= np.uint64(10_000 * 2**32 + 1)
    words_FN >>= np.uint64(32)
    numbers_FN = words_FN.astype(np.float32)
    for field, line in np.argwhere(n_digits_FN > _WORD):
        number = fields.bytes_at(field, line)
        if not _NUMBER.fullmatch(number):
            return None
        numbers_FN[field, line] = float(int(number))
    numbers_FN[is_negative_FN] = 0
    return numbers_FN, n_signs


def _parse_categories(fields: _Fields) -> tuple[Words, int] | None:
    """Give ids and how many fields are "-1"; None if one is too long.

    Its letters were checked before, but for signs.
    """
    starts_CN = fields.starts_FN[1 + N_NUMBERS :]
    n_bytes_CN = fields.ends_FN[1 + N_NUMBERS :] - starts_CN
    if n_bytes_CN.max(initial=0) > _WORD:
        return None
    words_CN = fields.words_at(starts_CN)
    words_CN[n_bytes_CN == 0] = _MISSING_WORD
    n_absent = 0
    others = []
    for column, line in np.argwhere((n_bytes_CN > 0) & (n_bytes_CN < _WORD)):
        text = fields.bytes_at(1 + N_NUMBERS + column, line)
        if text == b"-1":
            words_CN[column, line] = _MISSING_WORD
            n_absent += 1
        else:
            others.append((column, line, text))
    ids_CN = np.empty_like(words_CN)
    for column in range(N_CATEGORIES):
        hashes_N = fingerprints64(words_CN[column], str(column).encode())
        n_buckets = np.uint64(BUCKETS[column])
        ids_CN[column] = hashes_N - hashes_N // n_buckets * n_buckets  # 4 times as fast as %
    for column, line, text in others:
        ids_CN[column, line] = fingerprint64(text + str(column).encode()) % BUCKETS[column]
    return ids_CN, n_absent


def _first_error(block: bytes, file: str, first_line: int) -> str:
    """Say what is wrong with the first line that is wrong."""
    lines = block.split(b"\n")
    for number, line in enumerate(lines if lines[-1] else lines[:-1], start=first_line):
        fields = line.split(b"\t")
        if len(fields) != N_FIELDS:
            return (
                f"{file}, line {number}: {len(fields)} fields; a label, {N_NUMBERS} numbers and "
                f"{N_CATEGORIES} categories with tabs between them are needed"
            )
        if fields[0] not in (b"0", b"1", b"", b"-1"):
            return f"{file}, line {number}: the label is {fields[0]!r}, not 0 or 1"
        for place, field in enumerate(fields):
            is_category = place > N_NUMBERS
            if not (_CATEGORY if is_category else _NUMBER).fullmatch(field):
                wanted = "a hexadecimal category of up to 8 digits" if is_category else "a number"
                return f"{file}, line {number}, field {place + 1}: {field!r} is not {wanted}"
    return f"{file}, from line {first_line} on: the lines cannot be taken apart"
