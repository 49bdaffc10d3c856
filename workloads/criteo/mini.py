"""Generated click logs for criteo1tb_mini: days as Criteo's, packed, and prepared as they are.

`workloads.criteo.planted` says what is in them. They lie in <folder>/raw as day_<d>.gz; their
shards are written by the same code as those of the real logs.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from pacebench.spec import Report
from workloads.criteo.clicks import CLICKS, ClickLog
from workloads.criteo.planted import draw, lines_of, plant
from workloads.criteo.prepare import prepare

SEED = 7
RAW_FOLDER = "raw"
_COMPRESSION = 6


def write_mini(data_dir: Path, report: Report) -> None:
    """Write all below `data_dir`/criteo1tb_mini, the same every time; what is there stays."""
    write_log(CLICKS, data_dir, report)


def write_log(log: ClickLog, data_dir: Path, report: Report) -> None:
    """Write the days of a generated log and prepare them."""
    raw = data_dir / log.folder / RAW_FOLDER
    raw.mkdir(parents=True, exist_ok=True)
    planted = plant(SEED)
    for day in range(log.n_train_days + 1):
        path = raw / f"day_{day}.gz"
        if not path.is_file():
            rows = draw(planted, rows_of_day(log, day), np.random.default_rng((SEED, day)))
            aside = path.with_suffix(".part")
            # Without the time of writing, so that the bytes are the same every time.
            aside.write_bytes(gzip.compress(lines_of(planted, rows), _COMPRESSION, mtime=0))
            aside.replace(path)
        report(path.name, day + 1, log.n_train_days + 1)
    prepare(log, raw, data_dir, report, n_processes=1)


def rows_of_day(log: ClickLog, day: int) -> int:
    """Give how many lines a day has: an equal share of training, or test and validation."""
    if day < log.n_train_days:
        return log.sizes["train"] // log.n_train_days
    return log.sizes["test"] + log.sizes["validation"]
