"""One trial of an AlgoPerf submission: the calls that AlgoPerf's runner makes, in its order.

AlgoPerf counts steps from 0 within `data_selection` and `update_params`, and has counted the step
when it calls `prepare_for_eval`; `run.step` counts from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacebench.backends.base import Run
from pacebench.compat import spec
from pacebench.compat.facade import Calls, make_workload
from pacebench.compat.foreign import Generation, generation_of_loaded, import_submission
from pacebench.compat.functions import (
    Functions,
    Point,
    functions_of,
    hyperparameters_of,
    returned_point,
)
from pacebench.compat.history import History, TrainState
from pacebench.plan import TrialPlan
from pacebench.seeds import Seed
from pacebench.spec import Batch, Finished, Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A submission imported for a trial, before there is a model."""

    functions: Functions
    generation: Generation
    hyperparameters: Any
    plan: TrialPlan
    workload: Workload


def load(source: Path, plan: TrialPlan, workload: Workload) -> Loaded:
    """Import the submission in `source`; raises SubmissionError if a function is missing."""
    module = import_submission(source, plan.address, plan.framework)
    return Loaded(
        functions=functions_of(module, f"{plan.submission} ({plan.address}.py)"),
        generation=generation_of_loaded(),
        hyperparameters=hyperparameters_of(plan.rules.ruleset, plan.hyperparameters),
        plan=plan,
        workload=workload,
    )


@dataclass(kw_only=True, slots=True)
class Session:
    """A submission bound to a run."""

    functions: Functions
    workload: spec.Workload
    run: Run
    history: History
    hyperparameters: Any
    make_rng: Callable[[Seed], Any]
    """Turns a seed into the framework's kind of `rng`."""
    _train_state: TrainState = field(init=False)

    def __post_init__(self) -> None:
        self._train_state = TrainState(self.run, self.history, self.workload)

    def init(self, params: Any, model_state: Any) -> Any:
        """Give the submission's fresh optimizer state."""
        rng = self._rng("init", 0)
        return self.functions.init_optimizer_state(
            self.workload, params, model_state, self.hyperparameters, rng
        )

    def step(self, batches: Iterator[Batch], point: Point) -> Point:
        """Make one step; raises Finished when the submission says that training is complete.

        `point` is then still where training stands.
        """
        step = self.run.step - 1
        batch = self.functions.data_selection(
            self.workload,
            batches,
            point.optimizer_state,
            point.params,
            point.model_state,
            self.hyperparameters,
            step,
            self._rng("data", step),
        )
        arguments = self._arguments(point, step, "update") | {"batch": batch}
        if self.functions.takes_train_state:
            arguments["train_state"] = self._train_state
        try:
            returned = self.functions.update_params(**arguments)
        except spec.TrainingCompleteError as error:
            raise Finished(str(error)) from error
        return returned_point(returned, "update_params")

    def prepare_eval(self, point: Point) -> Point:
        """Give the point that is evaluated, from which training goes on too."""
        self.history.note_evaluation()
        if self.functions.prepare_for_eval is None:
            return point
        arguments = self._arguments(point, self.run.step, "prepare_for_eval")
        return returned_point(self.functions.prepare_for_eval(**arguments), "prepare_for_eval")

    def _arguments(self, point: Point, step: int, purpose: str) -> dict[str, Any]:
        return {
            "workload": self.workload,
            "current_param_container": point.params,
            "current_params_types": self.workload.model_params_types,
            "model_state": point.model_state,
            "hyperparameters": self.hyperparameters,
            "loss_type": self.workload.loss_type,
            "optimizer_state": point.optimizer_state,
            "eval_results": self.history.update(),
            "global_step": step,
            "rng": self._rng(purpose, step),
        }

    def _rng(self, purpose: str, step: int) -> Any:
        return self.make_rng(self.run.seed.child("algoperf", purpose, step))


def open_session(
    loaded: Loaded, run: Run, calls: Calls, make_rng: Callable[[Seed], Any]
) -> Session:
    """Bind a submission to its run; do it once, since the workload is hashed by identity."""
    return Session(
        functions=loaded.functions,
        workload=make_workload(loaded.plan, loaded.workload, run, calls),
        run=run,
        history=History(run, loaded.plan.sizes),
        hyperparameters=loaded.hyperparameters,
        make_rng=make_rng,
    )
