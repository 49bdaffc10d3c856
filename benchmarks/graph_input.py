"""Molecules per second of ogbg's training input, against batching one graph after the other.

    python -m benchmarks.graph_input [--molecules 20000] [--rounds 5] [--batches 60]

The molecules are random graphs of ogbg-molpcba's mean size (26 atoms, 28 bonds), prepared from
OGB's tables as the real ones. Ours is the pipeline that a trial uses, for batches of 512. The
reference does in plain numpy what jraph's `dynamically_batch` does with graphs that are in memory,
parsed and with edges both ways: it collects graphs until the next would exceed a shard's room,
concatenates their arrays, offsets the edges, and pads; reading and parsing, which cost AlgoPerf six
times as much, are not counted against it. Both take turns in one process, on one thread. Printed:
medians and ranges over the rounds, and the ratio within each round.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.support import spread
from pacebench.data import TrainBatches
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.shards import N_SHARDS
from pacebench.spec import DataRequest
from workloads.ogbg import raw as tables
from workloads.ogbg.files import open_molecules
from workloads.ogbg.molecules import PCBA
from workloads.ogbg.prepare import prepare_pcba

BATCH_SIZE = 512
N_PER_SHARD = BATCH_SIZE // N_SHARDS
N_EVALUATED = 100

# nodes, edges, senders, receivers, labels
Graph = tuple[NDArray[np.float32], ...]


def write_molecules(folder: Path, n_molecules: int) -> None:
    """Write random molecules as OGB's tables and prepare them."""
    rng = np.random.default_rng(0)
    atoms = np.clip(rng.normal(26, 6, n_molecules), 4, 60).astype(int)
    bonds = atoms + rng.integers(0, 5, n_molecules)
    ends = rng.integers(0, np.repeat(atoms, bonds)[:, None], (bonds.sum(), 2))
    splits = np.split(rng.permutation(n_molecules), [N_EVALUATED, 2 * N_EVALUATED])
    labels = rng.choice(["", "0", "1"], (n_molecules, PCBA.n_labels))
    contents = {
        tables.N_NODES: atoms[:, None],
        tables.N_EDGES: bonds[:, None],
        tables.NODES: rng.integers(0, 119, (atoms.sum(), 9)),
        tables.EDGES: ends,
        tables.EDGE_FEATURES: rng.integers(0, 5, (bonds.sum(), 3)),
        tables.LABELS: labels,
        tables.SPLIT_TABLES["validation"]: splits[0][:, None],
        tables.SPLIT_TABLES["test"]: splits[1][:, None],
        tables.SPLIT_TABLES["train"]: splits[2][:, None],
    }
    for table, rows in contents.items():
        path = folder / "raw_tables" / table
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())
        path.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    prepare_pcba(folder / "raw_tables", folder, lambda _what, _done, _total: None)


def parsed_graphs(folder: Path) -> list[Graph]:
    """Give all training molecules as graphs, edges both ways."""
    molecules = open_molecules(folder / "ogbg")
    stops = np.cumsum(molecules.sizes_N2, axis=0)
    graphs = []
    for i in np.load(folder / "ogbg" / "train.npy").tolist():
        (node_stop, bond_stop), (n_nodes, n_bonds) = stops[i], molecules.sizes_N2[i]
        nodes = molecules.node_features[node_stop - n_nodes : node_stop].astype(np.float32)
        ends = molecules.edges[bond_stop - n_bonds : bond_stop].astype(np.int32)
        edges = molecules.edge_features[bond_stop - n_bonds : bond_stop].astype(np.float32)
        both = np.concatenate([ends, ends[:, ::-1]])
        labels = molecules.labels_NK[i].astype(np.float32)
        graphs.append((nodes, np.concatenate([edges, edges]), both[:, 0], both[:, 1], labels))
    return graphs


def plain_shards(graphs: list[Graph]) -> Iterator[tuple[int, list[NDArray[np.float32]]]]:
    """Give (number of graphs, padded arrays) of shard after shard, endlessly."""
    rng = np.random.default_rng(0)
    max_nodes, max_edges = (n * N_PER_SHARD for n in PCBA.units_per_example)
    chosen: list[Graph] = []
    n_nodes = n_edges = 0
    while True:
        for i in rng.permutation(len(graphs)).tolist():
            graph = graphs[i]
            new_nodes, new_edges = len(graph[0]), len(graph[1])
            is_full = len(chosen) == N_PER_SHARD
            if is_full or n_nodes + new_nodes > max_nodes or n_edges + new_edges > max_edges:
                yield len(chosen), pad(chosen, (max_nodes, max_edges))
                chosen, n_nodes, n_edges = [], 0, 0
            chosen.append(graph)
            n_nodes, n_edges = n_nodes + new_nodes, n_edges + new_edges


def pad(graphs: list[Graph], room: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Put graphs together and fill up with padding."""
    max_nodes, max_edges = room
    n_node = np.array([len(graph[0]) for graph in graphs])
    offsets = np.cumsum(n_node) - n_node
    nodes, edges = (np.concatenate([graph[i] for graph in graphs]) for i in (0, 1))
    ends = [
        np.concatenate([graph[i] + offset for graph, offset in zip(graphs, offsets, strict=True)])
        for i in (2, 3)
    ]
    labels = np.stack([graph[4] for graph in graphs])
    n_edges, n_missing = max_edges - len(edges), N_PER_SHARD + 1 - len(graphs)
    padding = np.zeros((n_missing, labels.shape[1]), np.float32)
    return [
        np.concatenate([nodes, np.zeros((max_nodes + 1 - len(nodes), 9), np.float32)]),
        np.concatenate([edges, np.zeros((n_edges, 3), np.float32)]),
        *(np.concatenate([end, np.full(n_edges, len(nodes), np.int32)]) for end in ends),
        np.repeat(np.arange(N_PER_SHARD + 1), np.append(n_node, [0] * n_missing)),
        np.concatenate([np.maximum(labels, 0), padding]),
        np.concatenate([(labels >= 0).astype(np.float32), padding]),
    ]


def reference(folder: Path) -> Callable[[int], float]:
    """Give run(n_batches) -> molecules per second of the reference."""
    shards = plain_shards(parsed_graphs(folder))

    def run(n_batches: int) -> float:
        n_molecules, start = 0, time.perf_counter()
        for _ in range(n_batches):
            counts, arrays = zip(*islice(shards, N_SHARDS), strict=True)
            _ = [
                np.stack(of_shards)
                for of_shards in zip(*arrays, strict=True)
                if of_shards[0].ndim > 1
            ]
            n_molecules += sum(counts)
        return n_molecules / (time.perf_counter() - start)

    return run


def ours(folder: Path) -> Callable[[int], float]:
    """Give run(n_batches) -> molecules per second of ogbg's input."""
    request = DataRequest(data_dir=folder, allow_partial=True)
    source = find_workload("ogbg").open_sources(request)["train"]
    batches = TrainBatches(source, seed=Seed(0), batch_size=BATCH_SIZE)

    def run(n_batches: int) -> float:
        n_molecules, start = 0, time.perf_counter()
        for _ in range(n_batches):
            graphs_SN = next(batches)["inputs"][4]
            n_molecules += int(graphs_SN.max(axis=1).sum())  # the last graph's number: padding
        return n_molecules / (time.perf_counter() - start)

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--molecules", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=60, help="of 512 molecules, per round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        start = time.perf_counter()
        write_molecules(folder, args.molecules)
        print(
            f"{args.molecules:,} molecules drawn, written and prepared in "
            f"{time.perf_counter() - start:.1f} s"
        )
        runs = {"one graph after the other": reference(folder), "ours": ours(folder)}
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for run in runs.values():
            run(5)  # warm
        for _ in range(args.rounds):
            for name, run in runs.items():
                rates[name].append(run(args.batches))
    for name, values in rates.items():
        print(
            f"{name}: {statistics.median(values):,.0f} molecules/s "
            f"({min(values):,.0f} to {max(values):,.0f})"
        )
    ratios = [a / b for b, a in zip(*rates.values(), strict=True)]
    print(f"ours over the reference: {spread(ratios)}")


if __name__ == "__main__":
    main()
