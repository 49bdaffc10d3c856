"""Two devices train as one does: two torch ranks over gloo, two forced host devices in jax."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.errors import PlanError
from pacebench.plugins import find_submission
from pacebench.store import RunStore
from pacebench.study import Resources, write_plan
from tests.data_files import write_cifar
from tests.support import REPOSITORY, draw

TOLERANCE = {"rtol": 2e-3, "atol": 2e-5}  # float32 sums in another order, over 20 steps


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar")
    write_cifar(folder)
    return folder


def run_ranks(framework: str, n_devices: int, data_dir: Path, out: Path) -> list[dict[str, Any]]:
    """Run all ranks at once; gives what each wrote."""
    n_ranks = n_devices if framework == "torch" else 1
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    processes, files = [], []
    for rank in range(n_ranks):
        files.append(out / f"{framework}_{n_devices}_{rank}.json")
        environment = {
            **os.environ,
            "RANK": str(rank),
            "WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        arguments = [framework, str(n_devices), str(rank), str(data_dir), str(files[-1])]
        command = [sys.executable, "-m", "tests.ranks_child", *arguments]
        processes.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment))
    assert [p.wait(200) for p in processes] == [0] * n_ranks
    return [json.loads(f.read_text()) for f in files]


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_two_devices_give_the_losses_and_running_statistics_of_one(
    framework: str, data_dir: Path, tmp_path: Path
) -> None:
    (one,) = run_ranks(framework, 1, data_dir, tmp_path)
    two = run_ranks(framework, 2, data_dir, tmp_path)
    for result in two:
        np.testing.assert_allclose(result["losses"], one["losses"], **TOLERANCE)
        for ours, expected in zip(result["state"], one["state"], strict=True):
            np.testing.assert_allclose(ours, expected, **TOLERANCE)
        assert result["metrics"].keys() == one["metrics"].keys()
        for name, value in one["metrics"].items():
            assert result["metrics"][name] == pytest.approx(value, rel=5e-3, abs=5e-3), name
    assert np.mean(one["losses"][-5:]) < np.mean(one["losses"][:5])
    shares = [r["seen"] for r in two] if framework == "torch" else np.transpose(two[0]["seen"])
    assert not np.allclose(*shares)  # the devices saw different data …
    whole = np.sum(shares, axis=0)  # … and together what the one device saw
    np.testing.assert_allclose(whole, np.ravel(one["seen"]), rtol=1e-3, atol=0.5)
    if framework == "torch":
        assert [r["max"] for r in two] == [1.0, 1.0]


@pytest.mark.parametrize("name", ["adamw", "adamw_jax"])
def test_a_planned_trial_runs_on_two_devices(name: str, tmp_path: Path) -> None:
    resources = Resources(device="cpu", n_devices=2, n_cores=2, is_compiled=False)
    submission = find_submission(name)
    planned = draw(submission, trials=1, max_steps=30, clock="steps", resources=resources)
    alone = draw(submission, trials=1, max_steps=30, clock="steps")
    results = []
    for plan, out in ((planned, "two"), (alone, "one")):
        folder = write_plan(plan, tmp_path / out)[0]
        command = [sys.executable, "-P", "-m", "pacebench", "trial", str(folder)]
        assert subprocess.run(command, check=False, timeout=200).returncode == 0
        results.append(RunStore(folder).rows())
    two, one = results
    assert [r.step for r in two] == [r.step for r in one]
    for ours, expected in zip(two, one, strict=True):
        for metric, value in expected.metrics.items():
            assert ours.metrics[metric] == pytest.approx(value, rel=0.02, abs=0.02)


def test_a_batch_that_does_not_divide_over_the_devices_is_refused() -> None:
    resources = Resources(device="cpu", n_devices=3, n_cores=1, is_compiled=False)
    with pytest.raises(PlanError, match=r"batch size 128 .* does not divide over 3 devices"):
        draw(find_submission("adamw"), trials=1, resources=resources)
