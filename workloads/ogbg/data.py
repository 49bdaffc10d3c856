"""ogbg's splits as sources: molecules as graphs, put together into shards of one shape.

Every bond is an edge both ways. Source: AlgoPerf v0.6, ogbg, input_pipeline.py; README.md says
where we differ.

Letters: B molecules of a batch, S shards, N nodes, E edges and G graphs of a shard, F features, K
labels, M rows of all shards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacebench.data import fixed_subset
from pacebench.errors import DataError
from pacebench.shards import Room, ShardedSource
from pacebench.spec import Batch, DataRequest, Source
from workloads.ogbg.files import MISSING, Molecules, find_manifest, open_molecules
from workloads.ogbg.molecules import SPLITS, MoleculeSet


class GraphReader:
    """Reads molecules of a split into shards."""

    def __init__(self, molecules: Molecules, chosen_N: NDArray[np.int64]) -> None:
        self._molecules = molecules
        self._chosen_N = chosen_N
        ends_N2 = np.cumsum(molecules.sizes_N2, axis=0)
        self._starts_N2 = ends_N2 - molecules.sizes_N2

    def read_shards(
        self, indices_B: NDArray[np.int64], counts_S: NDArray[np.int64], room: Room
    ) -> Batch:
        """Give `inputs`, `targets` and `weights` of the molecules, the first counts_S[0] of them in
        the first shard.

        `inputs` are nodes [S, N, 9] and edges [S, E, 3], uint8, and int32 senders and receivers
        [S, E] and every node's graph [S, N], which count within a shard; `targets` and `weights`
        are float32 [S, G, K], 0 where a label is missing. A shard has a node and a graph more than
        it has room for: unused nodes and graphs come last, the first such graph takes all such
        nodes, and unused edges lead from the first such node to itself.
        """
        molecules, (n_nodes, n_edges) = self._molecules, room.units
        chosen_B = self._chosen_N[indices_B]
        nodes_B, bonds_B = molecules.sizes_N2[chosen_B].T
        shards_B = np.repeat(np.arange(len(counts_S)), counts_S)
        firsts_S = np.cumsum(counts_S) - counts_S
        nodes_S, bonds_S = (
            np.bincount(shards_B, of_each, len(counts_S)).astype(np.int64)
            for of_each in (nodes_B, bonds_B)
        )
        numbers_B = np.arange(len(chosen_B)) - firsts_S[shards_B]
        before_B = np.cumsum(nodes_B) - nodes_B - (np.cumsum(nodes_S) - nodes_S)[shards_B]

        node_rows_M = _runs(self._starts_N2[chosen_B, 0], nodes_B)
        bond_rows_M = _runs(self._starts_N2[chosen_B, 1], bonds_B)
        ends_M2 = molecules.edges.take(bond_rows_M, axis=0) + np.repeat(before_B, bonds_B)[:, None]
        batch = _Shards(len(counts_S), n_nodes + 1, n_edges, nodes_S, counts_S)
        batch.put_nodes(
            molecules.node_features.take(node_rows_M, axis=0), np.repeat(numbers_B, nodes_B)
        )
        batch.put_bonds(molecules.edge_features.take(bond_rows_M, axis=0), ends_M2, bonds_S)

        labels_BK = molecules.labels_NK.take(chosen_B, axis=0)
        shape = (len(counts_S), room.n_examples + 1, labels_BK.shape[1])
        targets, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        targets[shards_B, numbers_B] = labels_BK == 1
        weights[shards_B, numbers_B] = labels_BK != MISSING
        return {"inputs": batch.arrays, "targets": targets, "weights": weights}


class _Shards:
    """The graphs' arrays of a batch, at first all padding."""

    def __init__(
        self,
        n_shards: int,
        n_nodes: int,
        n_edges: int,
        nodes_S: NDArray[np.int64],
        graphs_S: NDArray[np.int64],
    ) -> None:
        self._nodes_S = nodes_S
        self._nodes = np.zeros((n_shards, n_nodes, 9), np.uint8)
        self._edges = np.zeros((n_shards, n_edges, 3), np.uint8)
        self._senders, self._receivers, self._graphs = (
            np.empty((n_shards, n), np.int32) for n in (n_edges, n_edges, n_nodes)
        )
        self._senders[:] = self._receivers[:] = nodes_S[:, None]
        self._graphs[:] = graphs_S[:, None]

    @property
    def arrays(self) -> tuple[NDArray[np.uint8 | np.int32], ...]:
        """Give nodes, edges, senders, receivers and the nodes' graphs."""
        return self._nodes, self._edges, self._senders, self._receivers, self._graphs

    def put_nodes(self, features_MF: NDArray[np.uint8], graphs_M: NDArray[np.int64]) -> None:
        """Put the nodes of all shards, one after the other."""
        stop = 0
        for shard, n in enumerate(self._nodes_S.tolist()):
            start, stop = stop, stop + n
            self._nodes[shard, :n] = features_MF[start:stop]
            self._graphs[shard, :n] = graphs_M[start:stop]

    def put_bonds(
        self,
        features_MF: NDArray[np.uint8],
        ends_M2: NDArray[np.int64],
        bonds_S: NDArray[np.int64],
    ) -> None:
        """Put the bonds of all shards, one after the other, first one way and then the other."""
        stop = 0
        for shard, n in enumerate(bonds_S.tolist()):
            start, stop = stop, stop + n
            there, back = slice(0, n), slice(n, 2 * n)
            first, second = ends_M2[start:stop].T
            for way, senders, receivers in ((there, first, second), (back, second, first)):
                self._edges[shard, way] = features_MF[start:stop]
                self._senders[shard, way] = senders
                self._receivers[shard, way] = receivers


def open_sources(molecules: MoleculeSet, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    folder, manifest = find_manifest(molecules, request)
    opened = open_molecules(folder)
    if opened.labels_NK.shape[1] != molecules.n_labels:
        raise DataError(
            f"{folder / 'labels.npy'} has {opened.labels_NK.shape[1]} labels for a molecule, not "
            f"{molecules.n_labels}; prepare again"
        )
    splits = {}
    for split in SPLITS:
        splits[split] = np.load(folder / f"{split}.npy").astype(np.int64)
        if len(splits[split]) != manifest["counts"][split]:
            raise DataError(
                f"{folder / split}.npy does not hold the molecules that its manifest states; "
                "delete the manifest and prepare again"
            )
    train = splits["train"]
    n_eval_train = min(molecules.n_eval_train, len(train))
    splits["eval_train"] = train[fixed_subset(len(train), n_eval_train)]
    units_N2 = opened.sizes_N2 * np.array([[1, 2]])  # a bond is two edges
    return {
        split: ShardedSource(
            units_NK=units_N2[chosen_N],
            units_per_example=molecules.units_per_example,
            read_shards=GraphReader(opened, chosen_N).read_shards,
        )
        for split, chosen_N in splits.items()
    }


def _runs(starts_B: NDArray[np.int64], lengths_B: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give starts_B[0], starts_B[0] + 1, … for lengths_B[0] numbers, then those of the next."""
    before_B = np.cumsum(lengths_B) - lengths_B
    return np.repeat(starts_B - before_B, lengths_B) + np.arange(int(lengths_B.sum()))
