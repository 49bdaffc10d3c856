"""Twenty steps on a small cifar over several devices; writes what came of it as JSON.

python -m tests.ranks_child FRAMEWORK N_DEVICES RANK DATA_DIR OUT
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pacebench.backends.base import Algorithm, Run
from pacebench.evaluate import evaluate
from pacebench.plugins import find_workload
from pacebench.spec import Batch, Workload
from tests.contracts.test_backends import MedianMargin
from tests.support import library_plan, open_trial

N_STEPS = 20
LEARNING_RATE = 0.1
LOSSES: list[Any] = []
SEEN: list[Any] = []
GRADIENT: list[Any] = []  # compiled once


def small_cifar() -> Workload:
    """Cifar with a small ResNet."""
    full = find_workload("cifar")
    config = dataclasses.replace(full.model_config, widths=(4, 8), n_blocks=(1, 1))
    return dataclasses.replace(full, model_config=config)


def torch_init(run: Run) -> Any:
    import torch

    return {"optimizer": torch.optim.SGD(run.params.values(), lr=LEARNING_RATE)}


def torch_step(run: Run, state: Any, batches: Iterator[Batch]) -> Any:
    batch = next(batches)
    SEEN.append(float(batch["inputs"].sum()))
    state["optimizer"].zero_grad()
    loss = run.loss(run.forward(batch), batch)
    n_valid = run.all_reduce(loss.n_valid_examples)
    (loss.summed / n_valid).backward()
    LOSSES.append(float(run.all_reduce(loss.summed.detach()) / n_valid))
    for parameter in run.params.values():
        parameter.grad = run.all_reduce(parameter.grad)
    state["optimizer"].step()
    return state


def jax_init(run: Run) -> Any:
    return {"params": run.params, "model_state": run.model_state}


def jax_step(run: Run, state: Any, batches: Iterator[Batch]) -> Any:
    import jax

    def mean_loss(params: Any, model_state: Any, batch: Batch) -> Any:
        outputs, model_state = run.forward(params, model_state, batch)
        loss = run.loss(outputs, batch)
        return loss.summed / loss.n_valid_examples, model_state

    batch = next(batches)
    shards = jax.numpy.asarray(batch["inputs"]).addressable_shards
    SEEN.append([float(shard.data.sum()) for shard in shards])
    if not GRADIENT:
        GRADIENT.append(jax.jit(jax.value_and_grad(mean_loss, has_aux=True)))
    (loss, model_state), grads = GRADIENT[0](state["params"], state["model_state"], batch)
    LOSSES.append(float(loss))
    params = jax.tree.map(lambda p, g: p - LEARNING_RATE * g, state["params"], grads)
    return {"params": params, "model_state": model_state}


def main(framework: str, n_devices: int, rank: int, data_dir: str, out: Path) -> None:
    """Run one rank."""
    workload = small_cifar()
    plan = library_plan(
        framework,
        workload="cifar",
        n_devices=n_devices,
        batch_size=32,
        eval_batch_size=25,
        clock="steps",
        data_dir=data_dir,
        allow_partial_data=True,
    )
    functions = {"torch": (torch_init, torch_step), "jax": (jax_init, jax_step)}[framework]
    algorithm = Algorithm(init=functions[0], step=functions[1])
    folder = out.with_suffix("")
    trial = open_trial(plan, folder, workload=workload, algorithm=algorithm, rank=rank)
    for step in range(1, N_STEPS + 1):
        trial.backend.step(step)
    state = trial.backend.save_state()
    arrays = state["model"].values() if framework == "torch" else state["state"]
    metrics = {}
    for metric in (workload.metric, MedianMargin()):
        metrics |= evaluate(trial.backend, metric, trial.sources, 25)
    result = {
        "losses": LOSSES,
        "seen": SEEN,
        "metrics": metrics,
        "state": [np.asarray(a, np.float64).ravel().tolist() for a in arrays],
        "max": trial.backend.max_over_ranks(float(rank)),
    }
    out.write_text(json.dumps(result))
    trial.backend.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))
    os._exit(0)  # as the worker does: gloo's threads may outlive the interpreter
