"""A trial's folder survives whatever interrupts a write."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacebench.errors import StoreError
from pacebench.rows import EvalRow, Reason
from pacebench.store import RunStore, whole_lines


def row(step: int) -> EvalRow:
    return EvalRow(step=step, seconds=step / 10, metrics={"validation/loss": 1.0 / step})


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for step in (1, 2, 3):
        store.append_row(row(step))
    assert store.rows() == [row(1), row(2), row(3)]


@given(cut=st.integers(1, 60))
def test_a_row_cut_off_by_a_crash_does_not_count_and_is_replaced_by_the_next(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = RunStore(folder)
    store.append_row(row(1))
    whole = (folder / "rows.jsonl").read_bytes()
    torn = (row(2).to_json() + "\n").encode()[:cut]
    (folder / "rows.jsonl").write_bytes(whole + torn)
    assert store.rows() == [row(1)]
    store.append_row(row(3))
    assert store.rows() == [row(1), row(3)]


def test_rows_after_a_checkpoint_are_kept_aside_and_their_seconds_are_lost(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for step in (1, 2, 3):
        store.append_row(row(step))
        store.append_timing(step, {"submission": step / 10})
    store.rewind(1, 1, 0.1)
    assert store.rows() == [row(1)]
    lost = [EvalRow.from_json(x) for x in whole_lines(tmp_path / "rows.lost.jsonl")]
    assert lost == [row(2), row(3)]
    assert store.meta()["lost_seconds"] == pytest.approx(0.2)
    assert [json.loads(x)["step"] for x in whole_lines(tmp_path / "timing.jsonl")] == [1]


def test_fewer_rows_than_the_checkpoint_counts_is_an_error(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.append_row(row(1))
    with pytest.raises(StoreError, match="1 rows but its checkpoint was made after 2"):
        store.rewind(2, 2, 0.0)


def test_the_end_is_written_once(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.write_end(Reason.TARGET, step=5)
    store.write_end(Reason.KILLED, step=9)
    assert store.end() == {"reason": "target", "step": 5}


def test_not_a_number_is_written_as_null_and_read_as_nan(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.append_row(EvalRow(step=1, seconds=None, metrics={"validation/loss": float("nan")}))
    assert b"null" in (tmp_path / "rows.jsonl").read_bytes()
    value = store.rows()[0].metrics["validation/loss"]
    assert value != value  # noqa: PLR0124 (NaN is not itself)


def _hold_lock(folder: Path, ready: object, done: object) -> None:
    RunStore(folder).acquire_lock()
    ready.set()  # type: ignore[attr-defined] (multiprocessing events have no public type)
    done.wait(60)  # type: ignore[attr-defined] (the same)


def test_a_second_process_cannot_take_a_trial_and_a_dead_one_frees_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold_lock, args=(tmp_path, ready, done))
    holder.start()
    assert ready.wait(60)
    store = RunStore(tmp_path)
    assert store.is_locked()
    with pytest.raises(StoreError, match=f"already being run by pid {holder.pid}"):
        store.acquire_lock()
    holder.kill()
    holder.join()
    assert not store.is_locked()
    store.acquire_lock()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is full")
def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="No space left on device; make room"):
        RunStore(tmp_path).append_row(row(1))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="make it writable"):
        RunStore(tmp_path).append_row(row(1))
