"""From OGB's tables to arrays: archive or folder, resumed, repeated, and what is refused."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from tests.workloads.ogbg_raw import Tables, random_tables, write_archive, write_raw
from workloads.ogbg import mini, molecules
from workloads.ogbg import prepare as preparing
from workloads.ogbg.files import find_sizes, open_molecules
from workloads.ogbg.molecules import MINI, PCBA
from workloads.ogbg.prepare import needed_bytes_pcba, prepare, prepare_pcba

# Molecules lie beside the repository, not in it.
REAL = Path(__file__).parents[2].parent / "shared" / "data" / "ogbg_molpcba" / "toxcast128"
NODES, EDGES = "raw/node-feat.csv.gz", "raw/edge.csv.gz"
N_EDGES, LABELS = "raw/num-edge-list.csv.gz", "raw/graph-label.csv.gz"


def say_nothing(_what: str, _done: int, _total: int) -> None:
    """Take a report."""


def contents(folder: Path) -> dict[str, bytes]:
    """Give the arrays' bytes by name."""
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.npy"))}


def test_arrays_hold_what_the_tables_say(tmp_path: Path) -> None:
    tables = random_tables()
    write_raw(tmp_path / "raw_dir" / "pcba", tables)
    prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    found = open_molecules(tmp_path / "ogbg_mini")
    for array, table in (
        (found.node_features, NODES),
        (found.edges, EDGES),
        (found.edge_features, "raw/edge-feat.csv.gz"),
    ):
        assert [",".join(map(str, row)) for row in array.tolist()] == tables[table]
    names = {-1: "", 0: "0", 1: "1"}
    labels = [",".join(names[v] for v in row) for row in found.labels_NK.tolist()]
    assert labels == tables[LABELS]
    for split, table in (("train", "train"), ("validation", "valid"), ("test", "test")):
        chosen = np.load(tmp_path / "ogbg_mini" / f"{split}.npy").tolist()
        assert chosen == sorted(map(int, tables[f"split/scaffold/{table}.csv.gz"]))
    assert not (tmp_path / "ogbg_mini" / ".prepare").exists()


def test_an_archive_gives_the_same_and_a_second_run_writes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = random_tables(n_labels=128)
    (tmp_path / "downloads").mkdir()
    write_archive(tmp_path / "downloads" / "pcba.zip", tables)
    n_bytes = needed_bytes_pcba(tmp_path / "downloads", tmp_path / "one")
    prepare_pcba(tmp_path / "downloads", tmp_path / "one", say_nothing)
    assert "not the published 39,533,472: taken for a part of it, no sum is compared" in caplog.text
    one = contents(tmp_path / "one" / "ogbg")
    assert 0 <= sum(map(len, one.values())) - n_bytes <= 8 * 128  # the heads of eight files
    assert needed_bytes_pcba(tmp_path / "downloads", tmp_path / "one") == 0
    prepare_pcba(tmp_path / "downloads" / "unpacked", tmp_path / "two", say_nothing)
    assert contents(tmp_path / "two" / "ogbg") == one
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "one" / "ogbg").iterdir()}
    shutil.rmtree(tmp_path / "downloads")
    prepare_pcba(tmp_path, tmp_path / "one", say_nothing)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "one" / "ogbg").iterdir()} == times


def test_the_published_archive_is_compared_with_its_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "pcba.zip", random_tables(n_labels=128))
    n_bytes = (tmp_path / "pcba.zip").stat().st_size
    published = dataclasses.replace(molecules.ARCHIVES["pcba.zip"], n_bytes=n_bytes)
    monkeypatch.setattr(preparing, "ARCHIVES", {"pcba.zip": published})
    with pytest.raises(DataError, match=f"not the published {published.digest}"):
        prepare_pcba(tmp_path, tmp_path / "data", say_nothing)


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_raw(tmp_path / "raw_dir", random_tables())
    prepare(MINI, tmp_path / "raw_dir", tmp_path / "whole", say_nothing)

    def break_off(what: str, _done: int, _total: int) -> None:
        if what == "edge-feat.csv.gz":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(MINI, tmp_path / "raw_dir", tmp_path / "halves", break_off)
    with pytest.raises(DataError, match=r"no .*manifest\.json"):
        find_sizes(MINI, DataRequest(data_dir=tmp_path / "halves"))
    told: list[str] = []
    prepare(
        MINI,
        tmp_path / "raw_dir",
        tmp_path / "halves",
        lambda what, _done, _total: told.append(what),
    )
    assert set(told) == {"edge-feat.csv.gz", "graph-label.csv.gz"}  # the others were whole
    assert contents(tmp_path / "halves" / "ogbg_mini") == contents(tmp_path / "whole" / "ogbg_mini")


def test_damage_behind_the_manifest_is_found_and_put_right(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw_dir", random_tables())
    prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    before = contents(tmp_path / "ogbg_mini")
    edges = tmp_path / "ogbg_mini" / "edges.npy"
    edges.write_bytes(before["edges.npy"][:-1] + b"\x07")
    prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    assert contents(tmp_path / "ogbg_mini") == before
    edges.write_bytes(b"")
    with pytest.raises(DataError, match=r"edges\.npy has 0 bytes, not .*; prepare again"):
        find_sizes(MINI, DataRequest(data_dir=tmp_path, allow_partial=True))


def changed(tables: Tables, table: str, line: int, text: str | None) -> Tables:
    """Change a line, counted from 1, or take it out."""
    lines = tables[table]
    lines[line - 1 : line] = [] if text is None else [text]
    return tables


@pytest.mark.parametrize(
    ("table", "line", "text", "message"),
    [
        (NODES, 5, "1,2,3,4,5,6,7,8", r"line 5 of .*node-feat.csv.gz has 8 columns, not 9"),
        (NODES, 5, "1,2,3,4,5,6,7,8,x", r"line 5 of .*node-feat.csv.gz: 'x' is no number"),
        (NODES, 5, "1,2,3,4,5,6,7,8,256", r"line 5 of .*: 256 in column 9 is no whole number"),
        (NODES, 5, "1,2,3,,5,6,7,8,9", r"line 5 of .*: nan in column 4 is no whole number"),
        (NODES, 3, "", r"line 3 of .*node-feat.csv.gz has 1 columns, not 9"),
        (NODES, 3, None, r"node-feat.csv.gz has [\d,]+ lines, not the [\d,]+ that the other"),
        (EDGES, 4, "0,99", r"line 4 of .*edge.csv.gz: a bond to atom 99 of molecule \d+, which"),
        (EDGES, 4, "-1,0", r"line 4 of .*edge.csv.gz: -1 in column 1 is no whole number"),
        (LABELS, 2, "0,1,2,,,,,", r"line 2 of .*graph-label.csv.gz: 2 in column 3 is no whole"),
        (N_EDGES, 9, None, r"num-node-list.csv.gz has 60 lines, .*num-edge-list.csv.gz has 59"),
        ("raw/num-node-list.csv.gz", 7, "0", r"line 7 of .*: a molecule of 0 atoms"),
        ("split/scaffold/valid.csv.gz", 2, "60", r"line 2 of .*valid.csv.gz: 60; there are 60"),
    ],
)
def test_bad_tables_are_named_with_line_and_reason(
    tmp_path: Path, table: str, line: int, text: str | None, message: str
) -> None:
    write_raw(tmp_path / "raw_dir", changed(random_tables(), table, line, text))
    with pytest.raises(DataError, match=message):
        prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    assert not (tmp_path / "ogbg_mini" / "manifest.json").exists()


def test_a_molecule_in_two_splits_is_refused(tmp_path: Path) -> None:
    tables = random_tables()
    twice = tables["split/scaffold/train.csv.gz"][3]
    write_raw(tmp_path / "raw_dir", changed(tables, "split/scaffold/test.csv.gz", 2, twice))
    with pytest.raises(DataError, match=f"line 2 of .*test.csv.gz: {twice}; this molecule is in"):
        prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)


def test_what_is_cut_off_or_missing_is_named(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw_dir", random_tables())
    path = tmp_path / "raw_dir" / NODES
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"node-feat\.csv\.gz is damaged behind line"):
        prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"node-feat\.csv\.gz is damaged behind line 0"):
        prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    path.unlink()
    with pytest.raises(DataError, match=r"raw_dir lacks raw/node-feat\.csv\.gz"):
        prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    with pytest.raises(DataError, match=r"holds neither pcba\.zip nor the folders raw and split"):
        prepare_pcba(tmp_path / "nowhere", tmp_path, say_nothing)
    (tmp_path / "pcba.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"pcba\.zip is no whole archive"):
        prepare_pcba(tmp_path, tmp_path, say_nothing)


def test_molecules_without_bonds_or_labels_are_kept_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = random_tables()
    write_raw(tmp_path / "raw_dir", tables)
    n_without = tables[N_EDGES].count("0")
    n_unlabelled = tables[LABELS].count(",,,,,,,")
    assert n_without > 0 and n_unlabelled > 0
    with caplog.at_level("INFO"):
        prepare(MINI, tmp_path / "raw_dir", tmp_path, say_nothing)
    assert f"of which {n_without} have no bond and {n_unlabelled} no label" in caplog.text


def test_a_real_set_is_read_as_by_the_official_loaders(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not there: real molecules are kept beside the repo")
    prepare_pcba(REAL, tmp_path, say_nothing)
    request = DataRequest(data_dir=tmp_path, allow_partial=True)
    sizes = {"train": 2_400, "eval_train": 2_400, "validation": 300, "test": 300}
    assert find_sizes(PCBA, request) == sizes
    found = open_molecules(tmp_path / "ogbg")
    # Read as TensorFlow Datasets' builder does: whole tables, as float32.
    labels = np.genfromtxt(REAL / "pcba" / LABELS, delimiter=",", dtype=np.float32)
    assert np.array_equal(np.where(np.isnan(labels), -1, labels), found.labels_NK)
    nodes = np.loadtxt(REAL / "pcba" / NODES, delimiter=",", dtype=np.float32)
    assert np.array_equal(nodes, found.node_features)
    with gzip.open(REAL / "pcba" / EDGES) as file:
        edges = np.loadtxt(file, delimiter=",", dtype=np.int64)
    assert np.array_equal(edges, found.edges)


def test_minis_raw_tables_are_the_same_every_time_and_its_labels_are_told_by_structure(
    tmp_path: Path,
) -> None:
    few = replace(MINI, sizes={"train": 40, "validation": 10, "test": 10})
    for name in ("one", "two"):
        mini.write_raw(tmp_path / name, few)
    paths = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.gz"))
    assert len(paths) == 9
    for path in paths:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    # O=C-O: an acid's carbon, and no acetal; N=C is missing.
    acid = mini.Molecule(
        atoms=[mini.OXYGEN, mini.CARBON, mini.OXYGEN],
        bonds={(0, 1): mini.DOUBLE, (1, 2): mini.SINGLE},
    )
    assert [name for name, is_there in mini.GROUPS.items() if is_there(acid)] == ["acid"]
    assert [acid.free(atom) for atom in range(3)] == [0, 1, 1]
