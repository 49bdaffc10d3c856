"""Whether a MINI workload tells good training from bad: steps to its target, counted.

    python -m benchmarks.mini WORKLOAD --framework torch|jax --data-dir DIR --rate 3e-3
        [--schedule cosine] [--part seeds|settings|misses|all] [--seeds 10] [--first-seed 0]
        [--settings 8] [--rates Adamax=6e-3 RMSprop=1e-3]

`seeds`: AdamW at --rate with several seeds; it should reach the target after 25 to 60 % of the step
hint in 9 of 10. `settings`: other optimizers and rates; at least 4 of 8 should hit, their steps
spread by 1.5 times; their rates are multiples of --rate unless --rates names them. `misses`: a
tenth of the rate, and training nothing but the output layer; both should miss. All but the last
follow `pacebench run`'s default schedule. Everything counts steps, so a busy machine changes
nothing but the wait; CPU seconds are printed too (OMP_NUM_THREADS=1 makes them those of one core).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.support import plan_of
from pacebench.backends.base import Algorithm
from pacebench.clock import Clock
from pacebench.evaluate import evaluate
from pacebench.opening import open_trial
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload
from pacebench.schedules import DEFAULT, at, table
from pacebench.store import RunStore

Make = Callable[[Any, Any, Any], Any]


def torch_settings(rate: float, schedule: str, rates: Mapping[str, float]) -> dict[str, Make]:
    """Give eight ways to train in torch, AdamW at `rate` first; `rates` replace their own."""
    import torch

    optim = torch.optim
    settings: dict[str, tuple[Any, float, dict[str, Any]]] = {
        "AdamW": (optim.AdamW, rate, {}),
        "AdamW, a third": (optim.AdamW, rate / 3, {}),
        "AdamW, three times": (optim.AdamW, rate * 3, {}),
        "NAdam": (optim.NAdam, rate, {}),
        "RMSprop": (optim.RMSprop, rate / 3, {}),
        "Adagrad": (optim.Adagrad, rate * 3, {}),
        "SGD, Nesterov": (optim.SGD, rate * 30, {"momentum": 0.9, "nesterov": True}),
        "Adamax": (optim.Adamax, rate * 2, {}),
    }

    def of(cls: Any, peak: float, options: dict[str, Any]) -> Make:
        def make(params: Any, _hparams: Any, run: Any) -> Any:
            optimizer = cls([p.value for p in params.values()], lr=peak, **options)
            factors = table(schedule, run.step_hint)
            return optimizer, optim.lr_scheduler.LambdaLR(optimizer, lambda s: at(factors, s))

        return make

    return {name: of(f, rates.get(name, own), o) for name, (f, own, o) in settings.items()}


def torch_output_only(rate: float) -> Make:
    """Give AdamW on the output layer alone."""
    import torch

    return lambda params, _hparams, _run: torch.optim.AdamW(
        [p.value for p in params.values() if p.is_output], lr=rate
    )


def jax_settings(rate: float, schedule: str, rates: Mapping[str, float]) -> dict[str, Make]:
    """Give eight ways to train in jax, AdamW at `rate` first; `rates` replace their own."""
    import jax.numpy as jnp
    import optax

    settings: dict[str, tuple[Any, float, dict[str, Any]]] = {
        "AdamW": (optax.adamw, rate, {}),
        "AdamW, a third": (optax.adamw, rate / 3, {}),
        "AdamW, three times": (optax.adamw, rate * 3, {}),
        "NAdam": (optax.nadam, rate, {}),
        "RMSprop": (optax.rmsprop, rate / 3, {}),
        "Adagrad": (optax.adagrad, rate * 3, {}),
        "SGD, Nesterov": (optax.sgd, rate * 30, {"momentum": 0.9, "nesterov": True}),
        "Lion": (optax.lion, rate / 5, {}),
    }

    def of(function: Any, peak: float, options: dict[str, Any]) -> Make:
        def make(_params: Any, _hparams: Any, run: Any) -> Any:
            factors = table(schedule, run.step_hint)
            return function(lambda count: peak * jnp.asarray(factors)[count], **options)

        return make

    return {name: of(f, rates.get(name, own), o) for name, (f, own, o) in settings.items()}


def jax_output_only(rate: float) -> Make:
    """Give AdamW on the output layer alone."""
    import jax
    import optax

    def make(params: Any, _hparams: Any, run: Any) -> Any:
        names = {name for name, p in params.items() if p.is_output}

        def label(path: Any, _leaf: Any) -> str:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            return "trained" if name in names else "frozen"

        labels = jax.tree.map_with_path(label, run.params)
        return optax.multi_transform(
            {"trained": optax.adamw(rate), "frozen": optax.set_to_zero()}, labels
        )

    return make


def algorithm_of(framework: str, make: Make) -> Algorithm:
    """Give a level-1 submission's algorithm."""
    if framework == "torch":
        from pacebench.backends.standard_torch import standard_algorithm
    else:
        from pacebench.backends.standard_jax import standard_algorithm
    return standard_algorithm(make, "the benchmark")


def steps_to_target(plan: TrialPlan, make: Make) -> tuple[int | None, float, float]:
    """Give the step of the first evaluation at the target (None: missed), the best metric, and the
    CPU seconds that the steps took."""
    rules = plan.rules
    sign = 1 if rules.larger_is_better else -1
    every = max(1, round(rules.eval_period_seconds / rules.budget_seconds * rules.step_hint))
    algorithm = algorithm_of(plan.framework, make)
    best, seconds = -sign * float("inf"), 0.0
    with tempfile.TemporaryDirectory() as folder:
        trial = open_trial(plan, RunStore(Path(folder)), Clock(), make_algorithm=lambda: algorithm)
        for step in range(1, rules.step_hint + 1):
            start = time.process_time()
            trial.backend.step(step)
            is_evaluated = step % every == 0
            if is_evaluated:
                trial.backend.prepare_eval()
                trial.backend.wait()
            seconds += time.process_time() - start
            if not is_evaluated:
                continue
            metrics = evaluate(
                trial.backend,
                trial.workload.metric,
                trial.sources,
                plan.eval_batch_size,
                trial.workload.decoding,
            )
            value = metrics[f"validation/{rules.metric}"]
            best = sign * max(sign * best, sign * value)
            if sign * value > sign * rules.validation_target:
                return step, best, seconds
    return None, best, seconds


def named_rate(text: str) -> tuple[str, float]:
    """Give the setting and the learning rate of "Adamax=6e-3"; raises ValueError."""
    name, _, rate = text.partition("=")
    return name, float(rate)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("workload")
    parser.add_argument("--framework", choices=("torch", "jax"), required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True, help="AdamW's good learning rate")
    parser.add_argument("--schedule", default=DEFAULT, help="of pacebench.schedules")
    parser.add_argument("--part", choices=("seeds", "settings", "misses", "all"), default="all")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="one that nothing was tuned on")
    parser.add_argument("--settings", type=int, default=8, help="how many of the eight")
    parser.add_argument(
        "--rates", nargs="*", default=[], type=named_rate, metavar="SETTING=RATE", help="of its own"
    )
    args = parser.parse_args()
    rates = dict(args.rates)
    workload, data_dir = find_workload(args.workload), args.data_dir.resolve()
    plan = plan_of(args.workload, args.framework, data_dir, workload.batch_size)
    settings = {"torch": torch_settings, "jax": jax_settings}[args.framework]
    if odd := set(rates) - set(settings(args.rate, args.schedule, {})):
        parser.error(f"no setting is called {', '.join(sorted(odd))}")
    output_only = {"torch": torch_output_only, "jax": jax_output_only}[args.framework]

    def show(label: str, make: Make, seed: int = 0) -> None:
        step, best, seconds = steps_to_target(dataclasses.replace(plan, seed=seed), make)
        share = "missed" if step is None else f"{step}, {step / plan.rules.step_hint:.0%} of hint"
        print(
            f"{args.workload} {args.framework}, {label}: {share}; best {best:.4f}; "
            f"{seconds:.1f} CPU-s of steps",
            flush=True,
        )

    if args.part in ("seeds", "all"):
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            show(f"AdamW, seed {seed}", settings(args.rate, args.schedule, {})["AdamW"], seed)
    if args.part in ("settings", "all"):
        for label, make in list(settings(args.rate, args.schedule, rates).items())[: args.settings]:
            show(f"{label} (now {rates[label]:g})" if label in rates else label, make)
    if args.part in ("misses", "all"):
        show("AdamW, a tenth", settings(args.rate / 10, args.schedule, {})["AdamW"])
        show("AdamW on the output layer alone", output_only(args.rate))


if __name__ == "__main__":
    main()
