"""Batch sizes are asked of a submission in a process of its own, once."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from pacebench.compat import probe
from pacebench.errors import SubmissionError
from pacebench.plugins import find_submission
from tests.compat.helpers import SUBMISSIONS, write_submission
from workloads.digits import FULL as DIGITS

UNKNOWN = dataclasses.replace(DIGITS, name="nobody_knows", algoperf_name="")


@pytest.fixture
def n_processes(monkeypatch):
    """How many processes were started, as a list that grows."""
    started = []
    run = subprocess.run

    def counted(*args, **kwargs):
        started.append(args)
        return run(*args, **kwargs)

    monkeypatch.setattr(subprocess, "run", counted)
    return started


def _submission(tmp_path, **parts):
    return find_submission(str(write_submission(tmp_path / "asked", **parts)))


def test_names_are_tried_in_order_by_one_process(n_processes, caplog, tmp_path):
    asked = _submission(
        tmp_path,
        get_batch_size="def get_batch_size(name):\n    return {'mnist': 64, 'cifar': 32}[name]",
    )
    assert probe.probe_batch_size(asked, DIGITS) == 64  # digits is unknown, mnist is not
    own = dataclasses.replace(DIGITS, name="cifar")
    assert probe.probe_batch_size(asked, own) == 32
    assert len(n_processes) == 1
    assert not caplog.records
    assert probe.probe_batch_size(asked, UNKNOWN) == DIGITS.batch_size
    assert "knows none of the names nobody_knows (KeyError: 'nobody_knows')" in caplog.text


@pytest.mark.parametrize(("asked_for", "size"), [(4096, 128), (1024, 32), (16, 1)])
def test_a_small_workload_divides_what_is_answered_for_the_full_one(asked_for, size, tmp_path):
    asked = _submission(
        tmp_path,
        get_batch_size=f"def get_batch_size(name):\n    return {{'mnist': {asked_for}}}[name]",
    )
    small = dataclasses.replace(DIGITS, algoperf_batch_divisor=32)
    assert probe.probe_batch_size(asked, small) == size
    assert probe.probe_batch_size(asked, DIGITS) == asked_for


def test_a_changed_submission_is_asked_again(n_processes, tmp_path):
    assert probe.probe_batch_size(_submission(tmp_path), DIGITS) == 64
    changed = _submission(tmp_path, get_batch_size="def get_batch_size(name):\n    return 32")
    assert probe.probe_batch_size(changed, DIGITS) == 32
    assert len(n_processes) == 2


def test_the_workloads_own_name_goes_first():
    found = find_submission(str(SUBMISSIONS / "jax_sharded_lion"))
    assert probe.probe_batch_size(found, DIGITS) == 64  # under mnist it has 128


def test_an_import_that_fails_is_told_by_its_last_line(tmp_path):
    asked = _submission(tmp_path, imports="import torch\nimport not_there_at_all")
    message = "cannot import 'asked': ModuleNotFoundError: No module named 'not_there_at_all'"
    with pytest.raises(SubmissionError, match=message):
        probe.probe_batch_size(asked, DIGITS)


def test_a_process_that_dies_is_told(tmp_path):
    asked = _submission(tmp_path, imports="import os, torch\nos._exit(7)")
    with pytest.raises(SubmissionError, match="exit code 7"):
        probe.probe_batch_size(asked, DIGITS)


@pytest.mark.parametrize("size", ["0", "'many'", "2.5", "None"])
def test_a_batch_size_that_is_none_is_told(size, tmp_path):
    asked = _submission(tmp_path, get_batch_size=f"def get_batch_size(name):\n    return {size}")
    with pytest.raises(SubmissionError, match="must give a positive integer"):
        probe.probe_batch_size(asked, DIGITS)
