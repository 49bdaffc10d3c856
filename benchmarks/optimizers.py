"""What a step and the state of each built-in submission cost, beside AdamW's.

    python -m benchmarks.optimizers --framework torch|jax [--workload digits] [--data-dir DIR]
        [--rounds 7] [--steps 20] [--cpu-time] [NAME ...]

All built-ins of the framework train the same model on the same batches in one process and take
turns: forward, backward and update, no evaluation, torch not compiled. Printed for each: the median
time of a step; the median and range over the rounds of that time / AdamW's of the same round; and
what a checkpoint holds beside the model, in bytes per parameter, counted from its arrays. On a busy
machine --cpu-time counts this process's CPU time instead of real time; let it have one core.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support import open_backend, spread
from pacebench.backends.base import Backend, NotResumableError
from pacebench.checkpoint import Bits
from pacebench.data import TrainBatches
from pacebench.plugins import find_workload, installed_submissions
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, Submission, Workload
from pacebench.study import PlannedTrial, Resources, StudyRequest, draw_plan, write_plan
from tuning.rules import load_rules

N_BATCHES = 8
REFERENCE = {"torch": "adamw", "jax": "adamw_jax"}


@dataclass(kw_only=True)
class Contender:
    """A built-in with its open trial."""

    name: str
    backend: Backend
    now: Callable[[], float]
    n_steps: int = 0
    seconds: list[float] = field(default_factory=list)
    """Per step, by round."""

    def run(self, n_steps: int) -> float:
        """Make steps and wait for them; gives seconds per step."""
        start = self.now()
        for _ in range(n_steps):
            self.n_steps += 1
            self.backend.step(self.n_steps)
        self.backend.wait()
        return (self.now() - start) / n_steps


def planned(submission: Submission, workload: Workload, data: DataRequest) -> PlannedTrial:
    """Plan a submission's first trial as `pacebench run` would, with the workload's batch size."""
    versions = (load_rules(version) for version in ("dev", "mini", "algoperf-0.5", "lm"))
    request = StudyRequest(
        submissions=[submission],
        workloads=[workload],
        rules=next(rules for rules in versions if workload.name in rules.workloads),
        ruleset="self" if submission.search_space is None else "external",
        resources=Resources(device="cpu", n_devices=1, n_cores=0, is_compiled=False),
        data=data,
        trials=1,
    )
    (first, *_) = draw_plan(request)
    values = {name: getattr(first.plan, name) for name in first.plan.__slots__}
    plan = type(first.plan)(**{**values, "batch_size": workload.batch_size})
    return PlannedTrial(plan, submission)


def state_bytes(backend: Backend, n_parameters: int) -> float:
    """Give the bytes that a checkpoint holds beside the model, per parameter.

    NaN if there is no checkpoint of it.
    """
    try:
        total = array_bytes(backend.save_state())
    except NotResumableError:
        return float("nan")
    return (total - 4 * n_parameters) / n_parameters


def array_bytes(tree: Any) -> int:
    """Give the bytes of all arrays in a tree; single numbers do not count."""
    if isinstance(tree, Mapping):
        return sum(array_bytes(v) for v in tree.values())
    if isinstance(tree, list | tuple):
        return sum(array_bytes(v) for v in tree)
    array = tree.bits if isinstance(tree, Bits) else tree
    return array.nbytes if isinstance(array, np.ndarray) and array.ndim > 0 else 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--framework", choices=tuple(REFERENCE), required=True)
    parser.add_argument("--workload", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    workload = find_workload(args.workload)
    data = DataRequest(
        data_dir=args.data_dir.resolve() if args.data_dir else None, allow_partial=True
    )
    reference = REFERENCE[args.framework]
    known = {n: s for n, s in installed_submissions().items() if s.framework == args.framework}
    if strange := sorted(set(args.names) - set(known)):
        parser.error(f"no built-in of {args.framework}: {', '.join(strange)}")
    names = [n for n in known if n != reference and (not args.names or n in args.names)]
    now = time.process_time if args.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        opened = open_all([known[n] for n in (reference, *names)], workload, data, Path(folder))
        contenders = [Contender(name=name, backend=backend, now=now) for name, backend in opened]
        for contender in contenders:
            contender.run(args.steps)  # warm
        for _ in range(args.rounds):
            for contender in contenders:
                contender.seconds.append(contender.run(args.steps))
    print(f"{args.framework}, {workload.name}, batch {workload.batch_size}")
    report(contenders, workload.n_parameters)


def open_all(
    submissions: list[Submission], workload: Workload, data: DataRequest, folder: Path
) -> Iterator[tuple[str, Backend]]:
    """Open a trial of each on the same batches; gives names and backends."""
    sources = workload.open_sources(data)
    endless = TrainBatches(
        sources["train"],
        seed=Seed(0),
        batch_size=workload.batch_size,
        mix=workload.mix,
        has_fixed_draws=workload.has_fixed_draws,
        epoch_order=workload.epoch_order,
    )
    batches = [next(endless) for _ in range(N_BATCHES)]
    for submission in submissions:
        trial = planned(submission, workload, data)
        (place,) = write_plan([trial], folder)
        yield submission.name, open_backend(trial.plan, sources, batches, place)


def report(contenders: list[Contender], n_parameters: int) -> None:
    """Print a row for each, the reference first."""
    reference = contenders[0].seconds
    print("| submission | ms a step | of AdamW's | state, bytes per parameter |")
    print("|---|---|---|---|")
    for contender in contenders:
        ratios = [a / b for a, b in zip(contender.seconds, reference, strict=True)]
        milliseconds = statistics.median(contender.seconds) * 1e3
        held = state_bytes(contender.backend, n_parameters)
        print(f"| {contender.name} | {milliseconds:.2f} | {spread(ratios)} | {held:.2f} |")


if __name__ == "__main__":
    main()
