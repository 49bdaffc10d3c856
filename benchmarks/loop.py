"""The loop between evaluations against a bare loop: on mnist with batch 1024, or a MINI workload.

    python -m benchmarks.loop --data-dir DIR --framework torch|jax [--workload imagenet_vit_mini]
        [--rounds 7] [--steps 150]

DIR holds the workload's data; fewer rows than published will do. MINI trains with its own batch
size. Both loops use the same model,
batch, optimizer (Adam) and compile settings in one process and take turns. Printed: median and
range over the rounds of (1) our time for the loop with data in memory / the bare loop's (goal:
at most 1.03), (2) our steps per second with the real input / the bare loop's with data in memory
(goal: at least 0.8).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.support import open_backend, plan_of, spread
from pacebench.backends.base import Backend
from pacebench.clock import Clock, Section
from pacebench.data import TrainBatches
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, Mode
from pacebench.store import RunStore
from pacebench.trial import Progress, Trial, run_trial

MNIST_BATCH_SIZE = 1024
LEARNING_RATE = 1e-3
N_BATCHES = 8
TRAINING = Mode(train=True, dropout_rate=None, normalize_with="batch", update_running=True)


def bare_torch(backend: Backend, batches: list[Any]) -> Callable[[int], float]:
    """Give the bare loop in torch: run(n) -> seconds."""
    import copy

    import torch

    model = copy.deepcopy(backend.run.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def run(n: int) -> float:
        start = time.perf_counter()
        for i in range(n):
            batch = batches[i % N_BATCHES]
            optimizer.zero_grad(set_to_none=True)
            loss = backend.run.loss(model(batch, TRAINING), batch)
            (loss.summed / loss.n_valid_examples).backward()
            optimizer.step()
        return time.perf_counter() - start

    return run


def bare_jax(backend: Backend, batches: list[Any]) -> Callable[[int], float]:
    """Give the bare loop in jax: run(n) -> seconds."""
    import jax
    import optax

    model, optimizer = backend.run.model, optax.adam(LEARNING_RATE)
    params, averages = jax.tree.map(
        lambda a: a.copy(), (backend.run.params, backend.run.model_state)
    )
    state = [params, averages, jax.jit(optimizer.init)(params)]
    keys = list(jax.random.split(jax.random.PRNGKey(0), N_BATCHES))  # for dropout

    def update(params: Any, averages: Any, inner: Any, batch: Any, key: Any) -> tuple[Any, ...]:
        def mean_loss(params: Any) -> tuple[Any, Any]:
            outputs, changed = model.apply(
                {"params": params, **averages},
                batch,
                TRAINING,
                rngs={"dropout": key},
                mutable=list(averages),
            )
            loss = backend.run.loss(outputs, batch)
            return loss.summed / loss.n_valid_examples, changed

        gradients, changed = jax.grad(mean_loss, has_aux=True)(params)
        updates, inner = optimizer.update(gradients, inner, params)
        return optax.apply_updates(params, updates), dict(changed), inner

    step = jax.jit(update, donate_argnums=(0, 1, 2))

    def run(n: int) -> float:
        start = time.perf_counter()
        for i in range(n):
            state[:] = step(*state, batches[i % N_BATCHES], keys[i % N_BATCHES])
        jax.block_until_ready(state)
        return time.perf_counter() - start

    return run


def our_loop(
    plan: TrialPlan, backend: Backend, sources: Any, folder: Path
) -> Callable[[int], float]:
    """Give our loop, `pacebench.trial.run_trial` itself: run(n) -> submission seconds."""
    clock = Clock()
    clock.device = backend
    folder.mkdir()
    stop_at = [0]
    trial = Trial(
        plan=plan,
        workload=find_workload(plan.workload),
        sources=sources,
        backend=backend,
        clock=clock,
        store=RunStore(folder),
        is_interrupted=lambda: backend.run.step >= stop_at[0],
    )
    progress = Progress(last_eval=0.0)

    def run(n: int) -> float:
        before = clock.seconds(Section.SUBMISSION)
        stop_at[0] = progress.step + n
        run_trial(trial, progress)
        return clock.seconds(Section.SUBMISSION) - before

    return run


def on_device(framework: str, batches: list[Any]) -> list[Any]:
    """Give numpy batches as the framework's arrays."""
    if framework == "torch":
        import torch

        from pacebench.backends.torch_backend import to_device

        return [to_device(b, torch.device("cpu")) for b in batches]
    import jax

    return [jax.device_put(b) for b in batches]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--framework", choices=("torch", "jax"), required=True)
    parser.add_argument("--workload", default="mnist")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=150)
    args = parser.parse_args()
    workload = find_workload(args.workload)
    batch_size = MNIST_BATCH_SIZE if args.workload == "mnist" else workload.batch_size
    plan = plan_of(
        args.workload, args.framework, args.data_dir.resolve(), batch_size, LEARNING_RATE
    )
    rules = {name: getattr(plan.rules, name) for name in plan.rules.__slots__}
    endless = {**rules, "budget_seconds": 1e9, "eval_period_seconds": 1e9}
    values = {name: getattr(plan, name) for name in plan.__slots__}
    plan = type(plan)(**{**values, "rules": type(plan.rules)(**endless)})
    sources = workload.open_sources(DataRequest(data_dir=args.data_dir, allow_partial=True))
    numpy_batches = TrainBatches(
        sources["train"],
        seed=Seed(0),
        batch_size=batch_size,
        mix=workload.mix,
        epoch_order=workload.epoch_order,
    )
    host = [next(numpy_batches) for _ in range(N_BATCHES)]
    real_backend = open_backend(plan, sources)  # first, because it configures its framework
    batches = on_device(args.framework, host)
    with tempfile.TemporaryDirectory() as folder:
        memory_backend = open_backend(plan, sources, batches)
        bare = {"torch": bare_torch, "jax": bare_jax}[args.framework](memory_backend, batches)
        memory = our_loop(plan, memory_backend, sources, Path(folder) / "memory")
        real = our_loop(plan, real_backend, sources, Path(folder) / "real")
        loops = {"bare": bare, "memory": memory, "real": real}
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for run in loops.values():
            run(args.steps)  # warm
        order = list(loops)
        for _ in range(args.rounds):
            for name in order:
                seconds[name].append(loops[name](args.steps))
            order.reverse()  # what runs first and last may profit or lose by it
    report(f"{args.framework}, {args.workload}, batch {batch_size}", args.steps, seconds)


def report(what: str, n_steps: int, seconds: dict[str, list[float]]) -> None:
    """Print the ratios, each within its round."""
    pairs = list(zip(seconds["bare"], seconds["memory"], seconds["real"], strict=True))
    per_step = statistics.median(seconds["bare"]) / n_steps
    print(f"{what}: bare loop {per_step * 1e3:.2f} ms a step")
    print(
        f"  time with data in memory / bare, goal <= 1.03: {spread([m / b for b, m, _ in pairs])}"
    )
    ratios = [bare / real for bare, _, real in pairs]
    print(f"  steps per second with real input / bare, goal >= 0.8: {spread(ratios)}")


if __name__ == "__main__":
    main()
