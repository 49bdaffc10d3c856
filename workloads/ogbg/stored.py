"""Molecules that TensorFlow Datasets has stored, as OGB's tables.

Each table takes a pass over the files. The molecules of the splits follow one another, so their
numbers are not OGB's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.tfds_records import StoredShard, find_stored, open_stored
from workloads.ogbg import raw
from workloads.ogbg.molecules import SPLITS, STORED

FEATURES = {
    raw.N_NODES: "num_nodes",
    raw.N_EDGES: "num_edges",
    raw.NODES: "node_feat",
    raw.EDGES: "edge_index",
    raw.EDGE_FEATURES: "edge_feat",
    raw.LABELS: "labels",
}
N_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredMolecules:
    """Where the molecules are."""

    place: Path
    splits: dict[str, tuple[StoredShard, ...]]

    @property
    def shards(self) -> list[StoredShard]:
        """Give all shards, split after split."""
        return [shard for split in SPLITS for shard in self.splits[split]]

    @property
    def fingerprint(self) -> str:
        """Give a text that changes when the files do: names, sizes and times."""
        statuses = ((shard.path.name, shard.path.stat()) for shard in self.shards)
        return " ".join(f"{name}:{s.st_size}:{s.st_mtime_ns}" for name, s in statuses)

    @property
    def sizes(self) -> dict[str, int]:
        """Give the bytes that are read for every table."""
        n_bytes = sum(shard.path.stat().st_size for shard in self.shards)
        return dict.fromkeys(FEATURES, n_bytes)

    def name_of(self, table: str) -> str:
        """Name a table in messages."""
        return f"{self.place}: {FEATURES.get(table, table)}"

    def rows(
        self, table: str, n_columns: int, report_position: Callable[[int], None]
    ) -> Iterator[raw.Rows]:
        """Give a table's rows, piece by piece; raises DataError."""
        if table not in FEATURES:
            yield 1, self._numbers_of(table)
            return
        line, position = 1, 0
        for shard in self.shards:
            examples = shard.examples()
            while some := list(islice(examples, N_AT_ONCE)):
                values = [np.asarray(e[FEATURES[table]], np.float32) for e in some]
                rows = np.concatenate([v.reshape(-1, n_columns) for v in values])
                yield line, rows
                line += len(rows)
            position += shard.path.stat().st_size
            report_position(position)

    def _numbers_of(self, table: str) -> NDArray[np.float32]:
        """Give the numbers of the molecules of a split."""
        start = 0
        for split in SPLITS:
            stop = start + sum(shard.n_examples for shard in self.splits[split])
            if raw.SPLIT_TABLES[split] == table:
                return np.arange(start, stop, dtype=np.float32)[:, None]
            start = stop
        raise AssertionError(table)


def find_stored_molecules(folder: Path) -> StoredMolecules | None:
    """Find the molecules below TensorFlow Datasets' `data_dir`; raises DataError."""
    place = find_stored(folder, STORED)
    return None if place is None else StoredMolecules(place=place, splits=open_stored(place))
