"""Small click logs in Criteo's format, and a slow reference of what their lines become."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from workloads.criteo.clicks import CLICKS, ClickLog
from workloads.criteo.columns import BUCKETS
from workloads.criteo.farmhash import fingerprint64
from workloads.criteo.prepare import prepare
from workloads.criteo.shards import ROW_BYTES

# Two days of training; of the third, the first two files of 50 lines are the test set.
LOG = ClickLog(
    name="clicks",
    folder="clicks",
    n_train_days=2,
    n_file_lines=50,
    n_test_files=2,
    sizes={"train": 230, "eval_train": 60, "validation": 30, "test": 100},
    help="write it",
)
N_LINES = {0: 120, 1: 110, 2: 130}
"""Of each day."""


def line(rng: np.random.Generator) -> bytes:
    """Give one line with empty, negative, long and short fields."""
    numbers = [
        str(rng.choice([rng.integers(0, 10), rng.integers(0, 10**6), -rng.integers(1, 4)]))
        for _ in range(13)
    ]
    numbers[int(rng.integers(13))] = str(rng.integers(10**8, 10**12))
    texts = [f"{code:08x}" for code in rng.integers(0, 2**32, 26).tolist()]
    texts[int(rng.integers(26))] = f"{int(rng.integers(16**7)):x}"
    texts[int(rng.integers(26))] = "-1"
    for fields in (numbers, texts):
        for _ in range(3):
            fields[int(rng.integers(len(fields)))] = ""
    return "\t".join([str(rng.integers(2)), *numbers, *texts]).encode() + b"\n"


def lines(n: int, seed: int) -> bytes:
    """Give `n` lines."""
    rng = np.random.default_rng(seed)
    return b"".join(line(rng) for _ in range(n))


@cache
def days() -> dict[int, bytes]:
    """Give the days of LOG."""
    return {day: lines(n, day) for day, n in N_LINES.items()}


def write_days(folder: Path) -> Path:
    """Write the days unpacked."""
    folder.mkdir(parents=True, exist_ok=True)
    for day, text in days().items():
        (folder / f"day_{day}").write_bytes(text)
    return folder


def write_learnable(folder: Path) -> None:
    """Write and prepare a log for criteo1tb_mini in which the numbers tell the label."""
    rng = np.random.default_rng(0)
    raw = folder / "raw"
    raw.mkdir()
    for name, n in (("0", 120), ("1", 60), ("4_00", 40), ("4_02", 30)):
        days = []
        for _ in range(n):
            fields = line(rng).split(b"\t")
            fields[0] = str(rng.integers(2)).encode()
            fields[1:14] = [b"1000" if fields[0] == b"1" else b"0"] * 13
            days.append(b"\t".join(fields))
        (raw / f"day_{name}").write_bytes(b"".join(days))
    prepare(CLICKS, raw, folder, quiet, n_processes=1)


def example(text: bytes) -> tuple[list[float], float]:
    """Give inputs and target of a line, as the facts tell them; one field at a time."""
    fields = text.rstrip(b"\n").split(b"\t")
    inputs = []
    for field in fields[1:14]:
        number = 0.0 if field in (b"", b"-1") else float(field)
        inputs.append(float(np.log(np.float32(max(number, 0)) + np.float32(1))))
    for column, field in enumerate(fields[14:]):
        category = b"00000000" if field in (b"", b"-1") else field
        hashed = fingerprint64(category + str(column).encode())
        inputs.append(float(np.float32(hashed % BUCKETS[column])))
    return inputs, float(fields[0] or 0)


def examples(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Give inputs [N, 39] and targets [N, 1] of lines."""
    found = [example(one) for one in text.splitlines()]
    inputs = np.array([inputs for inputs, _ in found], np.float32)
    return inputs, np.array([[target] for _, target in found], np.float32)


def quiet(what: str, done: int, total: int) -> None:
    """Report nothing."""


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Give the files in a folder."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


assert ROW_BYTES == 113  # 13 · 4 + 8 · 4 + 10 · 2 + 8 · 1 + 1
