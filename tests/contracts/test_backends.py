"""What every workload promises in every framework, on tiny budgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pacebench.backends.base import Algorithm, Run
from pacebench.data import TrainBatches
from pacebench.evaluate import evaluate
from pacebench.plan import TrialPlan
from pacebench.spec import Batch, LossValue, Partial, Workload
from pacebench.trial import Trial
from tests.contracts.compilations import COMPILATIONS, capture_only
from tests.contracts.resuming import check_resuming
from tests.contracts.table import CASES, Case
from tests.support import library_plan, open_trial, with_rules

pytestmark = pytest.mark.parametrize("case", CASES, ids=str)


def plan_of(case: Case, tmp_path: Path, **changes: Any) -> TrialPlan:
    """A plan of Adam on the case's workload that counts steps."""
    fields = {
        "workload": case.workload.name,
        "batch_size": case.batch_size,
        "eval_batch_size": case.eval_batch_size,
        "clock": "steps",
        "data_dir": case.data_dir(tmp_path),
        "allow_partial_data": True,
        **changes,
    }
    return library_plan(case.framework, case.learning_rate, **fields)


def opened(case: Case, tmp_path: Path, name: str = "trial", **changes: Any) -> Trial:
    """An open trial of a case."""
    plan = plan_of(case, tmp_path, **changes)
    return open_trial(plan, tmp_path / name, workload=case.workload)


def test_training_loss_halves(case: Case, tmp_path: Path) -> None:
    trial = opened(case, tmp_path)
    before = measure(trial)[case.loss_metric]
    for step in range(1, case.n_steps + 1):
        trial.backend.step(step)
    assert measure(trial)[case.loss_metric] < before / 2


def test_a_resumed_trial_ends_with_the_same_bytes(case: Case, tmp_path: Path) -> None:
    plan = with_rules(plan_of(case, tmp_path), max_steps=6, eval_period_seconds=0.2)
    check_resuming(lambda folder: open_trial(plan, folder, workload=case.workload), tmp_path)


def test_metrics_do_not_depend_on_the_batch_size(case: Case, tmp_path: Path) -> None:
    trial = opened(case, tmp_path)
    for metric in (trial.workload.metric, MedianMargin()):
        results = [
            evaluate(trial.backend, metric, trial.sources, size, trial.workload.decoding)
            for size in case.eval_batch_sizes
        ]
        for other in results[1:]:
            assert other == pytest.approx(results[0], rel=1e-5, abs=1e-6)


def test_evaluation_leaves_training_alone(case: Case, tmp_path: Path) -> None:
    plain, evaluated = (opened(case, tmp_path, name) for name in ("plain", "evaluated"))
    for step in (1, 2, 3):
        plain.backend.step(step)
        evaluated.backend.step(step)
        measure(evaluated)
    assert flatten(plain.backend.save_state()) == flatten(evaluated.backend.save_state())


def test_nothing_recompiles_after_step_2(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture_only(monkeypatch)
    trial = opened(case, tmp_path, is_compiled=True)

    def step_and_measure(steps: tuple[int, ...]) -> None:
        for step in steps:
            trial.backend.step(step)
        measure(trial)
        trial.backend.wait()

    step_and_measure((1, 2))
    assert COMPILATIONS[case.framework](lambda: step_and_measure((3, 4, 5))) == []


def test_every_parameter_is_float32_and_has_a_kind(case: Case, tmp_path: Path) -> None:
    run = opened(case, tmp_path).backend.run
    sizes = [int(np.prod(p.value.shape)) for p in run.parameters.values()]
    assert sum(sizes) == case.n_parameters
    assert {str(p.value.dtype).removeprefix("torch.") for p in run.parameters.values()} == {
        "float32"
    }
    outputs = {name for name, parameter in run.parameters.items() if parameter.is_output}
    assert outputs == set(case.workload.output_parameters[case.framework]) != set()


def test_a_submission_that_keeps_nothing_sees_its_batches_in_order(
    case: Case, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def step(run: Run, state: Any, batches: Iterator[Batch]) -> Any:
        seen.append(np.asarray(next(batches)["targets"]).copy())
        return state

    def init(run: Run) -> Any:
        return {"params": run.params, "model_state": run.model_state}

    algorithm = Algorithm(init=init, step=step)
    trial = open_trial(
        plan_of(case, tmp_path), tmp_path / "t", workload=case.workload, algorithm=algorithm
    )
    for i in (1, 2, 3):
        trial.backend.step(i)
    expected = TrainBatches(
        trial.sources["train"],
        seed=trial_seed(trial),
        batch_size=case.batch_size,
        mix=case.workload.mix,
        has_fixed_draws=case.workload.has_fixed_draws,
        epoch_order=case.workload.epoch_order,
    )
    for targets in seen:
        np.testing.assert_array_equal(targets, next(expected)["targets"])


def trial_seed(trial: Trial) -> Any:
    from pacebench.seeds import Seed

    return Seed(trial.plan.seed).child("data")


def measure(trial: Trial) -> dict[str, float]:
    workload, size = trial.workload, trial.plan.eval_batch_size
    return evaluate(trial.backend, workload.metric, trial.sources, size, workload.decoding)


def flatten(tree: Any) -> Any:
    """A tree as nested tuples that compare bit by bit."""
    if isinstance(tree, np.ndarray):
        return (str(tree.dtype), tree.shape, tree.tobytes())
    if isinstance(tree, dict):
        return tuple((k, flatten(v)) for k, v in sorted(tree.items(), key=str))
    if isinstance(tree, list | tuple):
        return tuple(flatten(v) for v in tree)
    return tree


class MedianMargin:
    """A metric that needs all outputs at once: the median of the largest logit (or token)."""

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        outputs = loss.per_example if outputs is None else outputs  # a metric of the loss alone
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        weights = batch["weights"]
        if weights.ndim == 3:  # shards of graphs with labels: a graph is an example
            outputs, weights = (a.reshape(-1, a.shape[-1]) for a in (outputs, weights))
        outputs = outputs.reshape(len(outputs), -1)
        real = weights.reshape(len(outputs), -1).max(-1) > 0
        return {"largest": outputs.max(-1)[real], "first": outputs[real][:, 0]}

    def merge(self, left: Partial, right: Partial) -> Partial:
        return {k: np.concatenate([left[k], right[k]]) for k in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        assert len(partial["largest"]) == n_examples
        order = np.arange(n_examples)  # depends on the order of the examples as well
        return {
            "median_margin": float(np.median(partial["largest"])),
            "weighted": float((partial["first"] * order).mean() / n_examples),
        }


def test_the_workload_table_covers_every_registered_workload(case: Case) -> None:
    from pacebench.plugins import all_workloads

    tested = {name for c in CASES for name in (c.workload.name, *c.covers)}
    assert tested == set(all_workloads())
    assert isinstance(case.workload, Workload)
