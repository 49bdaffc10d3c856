"""One submission of each style trains: alone, over two devices, resumed, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from pacebench.rows import Reason
from tests.compat.helpers import (
    STYLES,
    SUBMISSIONS,
    foreign_imports,
    open_submission,
    plan_of,
    run_submission,
)
from workloads.digits import FULL as DIGITS


def _leaves(tree):
    if isinstance(tree, dict):
        return [leaf for key in tree for leaf in _leaves(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in _leaves(item)]
    return [tree]


@pytest.mark.parametrize("name", STYLES)
def test_a_resumed_trial_is_the_uninterrupted_one(name, tmp_path):
    source, plan = SUBMISSIONS / name, plan_of(SUBMISSIONS / name, STYLES[name])
    whole, reason = run_submission(source, plan, tmp_path / "whole")
    assert reason is Reason.MAX_STEPS
    _, reason = run_submission(source, plan, tmp_path / "parts", interrupted_after=7)
    assert reason is None
    resumed, reason = run_submission(source, plan, tmp_path / "parts")
    assert reason is Reason.MAX_STEPS
    for file in ("rows.jsonl", "metrics.jsonl"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    ours, theirs = _leaves(whole.backend.save_state()), _leaves(resumed.backend.save_state())
    assert len(ours) == len(theirs) > 8
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", STYLES)
def test_under_self_tuning_rules_hyperparameters_are_none(name, tmp_path):
    trial, reason = run_submission(SUBMISSIONS / name, plan_of(SUBMISSIONS / name), tmp_path)
    assert reason is Reason.MAX_STEPS
    assert len(trial.store.rows()) == 3  # steps 1, 11 and 12


@pytest.mark.parametrize("name", ["jax_pmap_adam", "jax_sharded_lion"])
def test_jax_trees_are_the_workloads(name, tmp_path):
    import jax

    source = SUBMISSIONS / name
    with foreign_imports():
        trial = open_submission(source, plan_of(source, STYLES[name]), tmp_path)
        point = trial.backend._state["point"]
        workload = trial.backend._algorithm.init.__self__.session.workload
        n_axes = 1 if "pmap" in name else 0  # the axis of devices
        shapes = jax.tree.map(lambda leaf: leaf.shape[n_axes:], point.params)
    assert shapes["BatchNorm_0"] == {"scale": (16,), "bias": (16,)}
    assert set(point.model_state) == {"batch_stats"}
    assert shapes == jax.tree.map(lambda s: s.shape_tuple, workload.param_shapes)
    types = workload.model_params_types
    assert types["batchnorm_0"]["scale"].name == "BATCH_NORM_SCALE"
    assert types["dense_1"]["kernel"].name == "WEIGHT"
    assert workload.is_output_params("Dense_1")
    assert not workload.is_output_params("Dense_0")


def test_without_batch_norm_the_model_state_is_none(tmp_path):
    for name in ("jax_pmap_adam", "jax_sharded_lion"):
        with foreign_imports():
            source = SUBMISSIONS / name
            trial = open_submission(source, plan_of(source), tmp_path, DIGITS)
            assert trial.backend._state["point"].model_state is None
            trial.backend.step(1)
            assert trial.backend._state["point"].model_state is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The rows of every style run by the command line, by name and number of devices."""
    found = {}
    for n_devices in (1, 2):
        out = tmp_path_factory.mktemp(f"runs_{n_devices}")
        command = [sys.executable, "-P", "-m", "pacebench", "run"]
        command += [str(SUBMISSIONS / name) for name in STYLES]
        command += ["--workload", "digits", "--rules", "dev", "--trials", "1"]
        command += ["--max-steps", "40", "--clock", "steps", "--devices", str(n_devices)]
        subprocess.run([*command, "--out", str(out)], check=True, capture_output=True, timeout=300)
        for name in STYLES:
            (rows,) = out.glob(f"dev/external_tuning/{name}/*/*/trial_1/rows.jsonl")
            found[name, n_devices] = [json.loads(line) for line in rows.read_text().splitlines()]
    return found


@pytest.mark.parametrize("name", STYLES)
def test_the_command_line_trains_it(name, runs):
    first, *_, last = (row["metrics"]["train/loss"] for row in runs[name, 1])
    assert last < 0.6 * first


@pytest.mark.parametrize("name", STYLES)
def test_two_devices_train_as_one_does(name, runs):
    one, two = runs[name, 1], runs[name, 2]
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for left, right in zip(one, two, strict=True):
        expected = pytest.approx(left["metrics"]["validation/loss"], rel=1e-3)
        assert right["metrics"]["validation/loss"] == expected
