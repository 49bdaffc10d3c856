"""Batch norm over padded sequences: every mode against numpy, and two devices against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends import layers_flax, layers_torch
from pacebench.spec import Mode
from tests.support import REPOSITORY
from tests.workloads.test_layers import MODES

EPSILON, DECAY = 1e-3, 0.999  # facts_speech_dev.md, section 3
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(1.5, 2.0, (4, 7, 6)).astype(np.float32)
PADDINGS = (np.arange(7) >= np.array([[7], [3], [5], [0]])).astype(np.float32)
SLOPES = GENERATOR.normal(size=INPUTS.shape).astype(np.float32)
SCALE, BIAS, MEAN, VAR = GENERATOR.uniform(0.2, 1.5, (4, 6)).astype(np.float32)


class Norm(NamedTuple):
    """Outputs [B, T, C], the running averages afterwards, and the slope of the inputs."""

    outputs: NDArray[Any]
    mean: NDArray[Any]
    var: NDArray[Any]
    slopes: NDArray[Any]


def in_numpy(mode: Mode) -> Norm:
    """Section 3 of facts_speech_dev.md, in float64; slopes by the formula of batch norm."""
    x, is_valid = INPUTS.astype(np.float64), PADDINGS == 0
    valid = x[is_valid]
    batch_mean, batch_var = valid.mean(0), valid.var(0)  # numpy's variance is biased
    mean, var = MEAN.astype(np.float64), VAR.astype(np.float64)
    if mode.update_running:
        mean = DECAY * mean + (1 - DECAY) * batch_mean
        var = DECAY * var + (1 - DECAY) * batch_var
    uses_batch = mode.normalize_with == "batch"
    used = (batch_mean, batch_var) if uses_batch else (mean, var)
    inverse = 1 / np.sqrt(used[1] + EPSILON)
    normalised = (x - used[0]) * inverse
    outputs = np.where(is_valid[..., None], normalised * (1.0 + SCALE) + BIAS, 0)
    slopes = np.where(is_valid[..., None], SLOPES * (1.0 + SCALE) * inverse, 0)
    if uses_batch:
        # What moves the mean and the variance, taken off (Ioffe and Szegedy 2015, section 3).
        n = is_valid.sum()
        share = slopes[is_valid].sum(0) + normalised * (slopes * normalised)[is_valid].sum(0)
        slopes = np.where(is_valid[..., None], slopes - share / n, 0)
    return Norm(outputs, mean, var, slopes)


def in_torch(mode: Mode) -> Norm:
    """The layer in torch."""
    layer = layers_torch.MaskedBatchNorm(6, epsilon=EPSILON, decay=DECAY)
    arrays = {"weight": SCALE, "bias": BIAS, "running_mean": MEAN, "running_var": VAR}
    layer.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in arrays.items()})
    inputs = torch.from_numpy(INPUTS).requires_grad_()
    outputs = layer(inputs, torch.from_numpy(PADDINGS), mode)
    (slopes,) = torch.autograd.grad(outputs, inputs, torch.from_numpy(SLOPES))
    averages = (layer.running_mean, layer.running_var)
    return Norm(*(t.detach().numpy() for t in (outputs, *averages, slopes)))


def in_flax(mode: Mode) -> Norm:
    """The layer in flax."""
    variables = {
        "params": {"scale": SCALE, "bias": BIAS},
        "batch_stats": {"mean": MEAN, "var": VAR},
    }

    def apply(inputs: Any) -> Any:
        layer = layers_flax.MaskedBatchNorm(EPSILON, DECAY)
        return layer.apply(variables, inputs, PADDINGS, mode, mutable=["batch_stats"])

    def differentiate(inputs: Any) -> Any:
        outputs, pull_back, changed = jax.vjp(apply, inputs, has_aux=True)
        return outputs, changed["batch_stats"], pull_back(SLOPES)[0]

    outputs, stats, slopes = jax.jit(differentiate)(INPUTS)
    return Norm(*(np.asarray(a) for a in (outputs, stats["mean"], stats["var"], slopes)))


@pytest.mark.parametrize("norm", [in_torch, in_flax])
@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m.normalize_with}-{m.update_running}")
def test_it_is_its_definition_in_every_mode(norm: Any, mode: Mode) -> None:
    found, wanted = norm(mode), in_numpy(mode)
    for name in Norm._fields:
        np.testing.assert_allclose(
            getattr(found, name), getattr(wanted, name), rtol=1e-4, atol=1e-5, err_msg=name
        )
    if not mode.update_running:
        assert found.mean.tobytes() == MEAN.tobytes()
        assert found.var.tobytes() == VAR.tobytes()


def run_children(framework: str, n_processes: int, out: Path) -> list[dict[str, Any]]:
    """Run the layer on two devices; gives what each process wrote."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    files = [out / f"{framework}_{rank}.json" for rank in range(n_processes)]
    processes = []
    for rank, file in enumerate(files):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tests.workloads.masked_norm_child", framework, str(file)]
        processes.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment))
    assert [p.wait(200) for p in processes] == [0] * n_processes
    return [json.loads(f.read_text()) for f in files]


def assert_is_one_device(found: list[Any], n_parts: int) -> None:
    """Check what two devices gave, put together, against numpy on the whole batch."""
    wanted = in_numpy(MODES[0])
    for name in ("outputs", "slopes"):
        whole = np.concatenate([part[name] for part in found])
        np.testing.assert_allclose(whole, getattr(wanted, name), rtol=1e-4, atol=1e-5)
    for part in found:
        np.testing.assert_allclose(part["mean"], wanted.mean, rtol=1e-5)
        np.testing.assert_allclose(part["var"], wanted.var, rtol=1e-5)
    assert len(found) == n_parts


def test_two_ranks_give_the_statistics_and_slopes_of_one_and_draw_its_rows(tmp_path: Path) -> None:
    found = run_children("torch", 2, tmp_path)
    assert_is_one_device(found, 2)
    torch.manual_seed(0)  # rank 0's seed
    wanted = torch.rand(4, 5).numpy()
    np.testing.assert_array_equal(np.concatenate([part["drawn"] for part in found]), wanted)


def test_two_shards_give_the_statistics_and_slopes_of_one(tmp_path: Path) -> None:
    assert_is_one_device(run_children("jax", 1, tmp_path), 1)
