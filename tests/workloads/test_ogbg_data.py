"""From arrays to shards: graphs as jraph batches them, padding, splits, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.data import TrainBatches, eval_batches
from pacebench.errors import DataError
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.shards import N_SHARDS, Room
from pacebench.spec import DataRequest
from tests.workloads.ogbg_raw import write_molecules
from workloads.ogbg.data import GraphReader, open_sources
from workloads.ogbg.files import Molecules, find_sizes
from workloads.ogbg.molecules import MINI, PCBA

# Three molecules: two atoms and a bond; an atom alone; three atoms and two bonds.
THREE = Molecules(
    sizes_N2=np.array([[2, 1], [1, 0], [3, 2]]),
    node_features=np.arange(6, dtype=np.uint8)[:, None].repeat(9, axis=1) + 1,
    edges=np.array([[0, 1], [2, 0], [1, 2]], np.uint16),
    edge_features=np.array([[7, 0, 0], [8, 0, 0], [9, 0, 0]], np.uint8),
    labels_NK=np.array([[0, 1], [-1, -1], [1, -1]], np.int8),
)


def request_of(folder: Path) -> DataRequest:
    """Ask for whatever molecules are there."""
    return DataRequest(data_dir=folder, allow_partial=True)


def test_a_worked_example_of_two_shards() -> None:
    reader = GraphReader(THREE, np.array([2, 1, 0]))  # a split: molecules 2, 1, 0
    room = Room(n_examples=2, units=(5, 6))
    batch = reader.read_shards(np.array([0, 1, 2]), np.array([2, 1]), room)
    nodes, edges, senders, receivers, graphs = batch["inputs"]
    # First shard: molecule 2 (atoms 4, 5, 6), molecule 1 (atom 3), two nodes of padding.
    assert nodes[:, :, 0].tolist() == [[4, 5, 6, 3, 0, 0], [1, 2, 0, 0, 0, 0]]
    assert graphs.tolist() == [[0, 0, 0, 1, 2, 2], [0, 0, 1, 1, 1, 1]]
    # Bonds one way, then the other, then padding: from the first node of padding to itself.
    assert senders.tolist() == [[2, 1, 0, 2, 4, 4], [0, 1, 2, 2, 2, 2]]
    assert receivers.tolist() == [[0, 2, 2, 1, 4, 4], [1, 0, 2, 2, 2, 2]]
    assert edges[:, :, 0].tolist() == [[8, 9, 8, 9, 0, 0], [7, 7, 0, 0, 0, 0]]
    assert batch["targets"].tolist() == [[[1, 0], [0, 0], [0, 0]], [[0, 1], [0, 0], [0, 0]]]
    assert batch["weights"].tolist() == [[[1, 0], [0, 0], [0, 0]], [[1, 1], [0, 0], [0, 0]]]


def test_an_empty_shard_is_all_padding() -> None:
    reader = GraphReader(THREE, np.arange(3))
    room = Room(n_examples=1, units=(3, 4))
    batch = reader.read_shards(np.array([1]), np.array([1, 0]), room)
    nodes, _, senders, receivers, graphs = batch["inputs"]
    assert graphs[1].tolist() == [0, 0, 0, 0]
    assert senders[1].tolist() == receivers[1].tolist() == [0, 0, 0, 0]
    assert not nodes[1].any() and not batch["weights"][1].any()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare 60 random molecules with 5 labels as MINI's."""
    folder = tmp_path_factory.mktemp("ogbg")
    write_molecules(folder)
    return folder


def graphs_of(batch: dict[str, Any]) -> list[Any]:
    """Take the real graphs of a batch apart: what an independent reader sees of each."""
    found = []
    nodes, edges, senders, receivers, graphs = batch["inputs"]
    for shard in range(len(nodes)):
        for graph in range(graphs[shard].max()):  # the last number is padding's
            mine = np.flatnonzero(graphs[shard] == graph)
            own = np.isin(senders[shard], mine)
            assert np.array_equal(own, np.isin(receivers[shard], mine))
            ends = np.stack([senders[shard][own], receivers[shard][own]], axis=1) - mine[0]
            rows = np.concatenate([ends, edges[shard][own]], axis=1)
            found.append(
                (
                    nodes[shard][mine].tolist(),
                    sorted(rows.tolist()),
                    batch["targets"][shard, graph].tolist(),
                    batch["weights"][shard, graph].tolist(),
                )
            )
    return found


def test_evaluation_sees_every_molecule_once_and_whole(prepared: Path) -> None:
    sources = open_sources(MINI, request_of(prepared))
    for name in ("eval_train", "validation", "test"):
        source = sources[name]
        wanted = []
        for i in range(source.size):
            (one,) = graphs_of(source.read(np.array([i]), np.zeros(1, np.uint64)))
            wanted.append(one)
        for batch_size, n_ranks in ((8, 1), (400, 1), (16, 2)):
            found = [
                graph
                for rank in range(n_ranks)
                for batch in eval_batches(source, batch_size, rank, n_ranks)
                for graph in graphs_of(batch)
            ]
            assert found == wanted


def test_training_batches_have_one_shape_and_an_epoch_has_every_molecule(prepared: Path) -> None:
    source = open_sources(MINI, request_of(prepared))["train"]
    batches = TrainBatches(source, seed=Seed(1), batch_size=16)
    seen: list[Any] = []
    while len(seen) < 2 * source.size:
        batch = next(batches)
        nodes, edges = batch["inputs"][:2]
        # Units for each of two molecules a shard, and a node and a graph more for padding.
        assert nodes.shape == (N_SHARDS, 2 * 16 + 1, 9) and edges.shape == (N_SHARDS, 2 * 34, 3)
        assert batch["targets"].shape == batch["weights"].shape == (N_SHARDS, 3, 8)
        seen += [str(graph) for graph in graphs_of(batch)]
    assert sorted(seen[: source.size]) == sorted(seen[source.size : 2 * source.size])
    assert seen[: source.size] != seen[source.size : 2 * source.size]


def test_sizes_and_what_is_missing_are_told(prepared: Path, tmp_path: Path) -> None:
    sizes = {"train": 40, "eval_train": 40, "validation": 10, "test": 10}
    assert find_sizes(MINI, request_of(prepared)) == sizes
    with pytest.raises(DataError, match=r"train in .* has 40 molecules of the 3,000 published"):
        find_sizes(MINI, DataRequest(data_dir=prepared))
    with pytest.raises(DataError, match=r"ogbg_mini needs --data-dir DIR"):
        find_sizes(MINI, DataRequest())
    with pytest.raises(DataError, match=r"no .*manifest\.json; pacebench data mini"):
        find_sizes(MINI, request_of(tmp_path))
    (prepared / "ogbg").symlink_to(prepared / "ogbg_mini")
    with pytest.raises(DataError, match=r"labels\.npy has 8 labels for a molecule, not 128"):
        open_sources(PCBA, request_of(prepared))


def test_full_workloads_are_algoperfs() -> None:
    for name in ("ogbg", "ogbg_gelu", "ogbg_silu", "ogbg_model_size"):
        workload = find_workload(name)
        assert workload.sizes == {
            "train": 350_343,
            "eval_train": 43_793,
            "validation": 43_793,
            "test": 43_793,
        }
        assert (workload.batch_size, workload.eval_batch_size) == (512, 32_768)
        assert PCBA.units_per_example == (26, 56)
        assert workload.default_dropout_rate == 0.1
