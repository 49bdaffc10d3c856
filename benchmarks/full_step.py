"""Milliseconds of forward, loss and backward of a FULL workload's model on the CPU.

    python -m benchmarks.full_step WORKLOAD --framework torch|jax --data-dir DIR [--batch-size 4]
        [--steps 5]

The batch is read from the workload's data, of which a few files will do; the weights are initial
ones. The first step, in which jax compiles, is timed apart. Printed: median and range.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.support import open_backend, plan_of, spread
from pacebench.backends.base import Backend
from pacebench.data import TrainBatches
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest


def torch_step(backend: Backend, batch: Any) -> Callable[[], None]:
    """Give a function that computes the gradients of one batch."""
    from pacebench.backends.torch_backend import to_device

    run = backend.run
    batch = to_device(batch, run.device)

    def step() -> None:
        run.model.zero_grad(set_to_none=True)
        loss = run.loss(run.forward(batch), batch)
        (loss.summed / loss.n_valid_examples).backward()

    return step


def jax_step(backend: Backend, batch: Any) -> Callable[[], None]:
    """Give a function that computes the gradients of one batch."""
    import jax

    run = backend.run
    batch = jax.device_put(batch)
    key = run.key()

    def mean_loss(params: Any, averages: Any, batch: Any) -> tuple[Any, Any]:
        outputs, changed = run.forward(params, averages, batch, key=key)
        loss = run.loss(outputs, batch)
        return loss.summed / loss.n_valid_examples, changed

    gradients = jax.jit(jax.grad(mean_loss, has_aux=True))

    def step() -> None:
        jax.block_until_ready(gradients(run.params, run.model_state, batch))

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("workload")
    parser.add_argument("--framework", choices=("torch", "jax"), required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    data_dir = args.data_dir.resolve()
    workload = find_workload(args.workload)
    sources = workload.open_sources(DataRequest(data_dir=data_dir, allow_partial=True))
    plan = plan_of(args.workload, args.framework, data_dir, args.batch_size)
    backend = open_backend(plan, sources)
    batches = TrainBatches(
        sources["train"],
        seed=Seed(0),
        batch_size=args.batch_size,
        mix=workload.mix,
        epoch_order=workload.epoch_order,
    )
    make_step = {"torch": torch_step, "jax": jax_step}[args.framework]
    step = make_step(backend, next(batches))
    milliseconds = []
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        step()
        milliseconds.append((time.perf_counter() - start) * 1e3)
    print(
        f"{args.workload}, {args.framework}, batch {args.batch_size}: "
        f"{spread(milliseconds[1:])} ms a step, the first {milliseconds[0]:.0f}"
    )


if __name__ == "__main__":
    main()
