"""An AlgoPerf submission in jax as an algorithm of the jax backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pacebench.backends.base import Algorithm, NotResumableError, Run
from pacebench.backends.state_jax import leaves_of, restored
from pacebench.compat.facade import default_dropout_rate
from pacebench.compat.facade_jax import jax_calls
from pacebench.compat.functions import Point
from pacebench.compat.jax_layouts import Layout, PmapLayout, ShardedLayout
from pacebench.compat.session import Loaded, Session, load, open_session
from pacebench.errors import SubmissionError
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import Batch


def algoperf_algorithm(source: Path, plan: TrialPlan) -> Algorithm:
    """Import the submission in `source` and give it as an algorithm.

    Raises SubmissionError if a function is missing; errors of its code pass.
    """
    return algorithm_of_loaded(load(source, plan, find_workload(plan.workload)))


def algorithm_of_loaded(loaded: Loaded) -> Algorithm:
    """Give an imported submission as an algorithm.

    Its state has `point` (where training stands, in the submission's layout) besides the backend's
    `params` and `model_state`. Those are the training's own arrays while steps are made, and are
    in the backend's layout after `prepare_eval` only.
    """
    adapter = JaxAdapter(loaded)
    return Algorithm(
        init=adapter.init,
        step=adapter.step,
        prepare_eval=adapter.prepare_eval,
        save=adapter.save,
        restore=adapter.restore,
        shown=lambda: adapter.session.history.eval_results,
    )


class JaxAdapter:
    """The five functions over arrays in the layout that the submission was written for."""

    session: Session
    _layout: Layout
    _batches: Iterator[Batch] | None = None
    _shapes: list[list[tuple[int, ...]]]
    _optimizer_structure: Any

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def init(self, run: Run) -> dict[str, Any]:
        """Bind the submission; gives the fresh state."""
        if len(jax.devices()) != run.n_devices:
            raise SubmissionError(
                f"an AlgoPerf submission uses all {len(jax.devices())} devices that jax finds, but "
                f"the plan gives it {run.n_devices}; hide the others (CUDA_VISIBLE_DEVICES)"
            )
        loaded = self._loaded
        rate = default_dropout_rate(loaded.hyperparameters, loaded.generation.is_v05)
        calls = jax_calls(loaded.workload.loss, run, rate)
        self.session = open_session(loaded, run, calls, _rng)
        self._layout = PmapLayout(run) if loaded.generation.uses_pmap else ShardedLayout(run)
        params, model_state = self._layout.placed((run.params, run.model_state or None))
        self._shapes = _shapes(params, model_state)
        optimizer_state = self.session.init(params, model_state)
        point = self._checked(Point(params, model_state, optimizer_state), "init_optimizer_state")
        self._optimizer_structure = jax.tree.structure(optimizer_state[0])
        self._layout.evaluable(params, model_state or {})  # compiled before the clock starts
        return _training(point)

    def step(self, run: Run, state: dict[str, Any], batches: Iterator[Batch]) -> dict[str, Any]:
        """Make one step; the arrays that were evaluated go first, to give their room."""
        point = state["point"]
        state.update(_training(point))
        if self._batches is None:
            self._batches = self._layout.placed_batches(batches)
        point = self.session.step(self._batches, point)
        if run.step == 1:
            self._checked(point, "update_params")
        return _training(point)

    def prepare_eval(self, run: Run, state: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Give the submission its chance, and the backend what it evaluates."""
        point = self._checked(self.session.prepare_eval(state["point"]), "the submission")
        params, model_state = self._layout.evaluable(point.params, point.model_state or {})
        return {"params": params, "model_state": model_state, "point": point}

    def save(self, run: Run, state: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Give the arrays of the training; the update function is the code's."""
        point: Point = state["point"]
        tree, _ = point.optimizer_state
        if jax.tree.structure(tree) != self._optimizer_structure:
            raise NotResumableError(
                "the optimizer state's structure is no longer what init_optimizer_state gives"
            )
        return {
            "model": leaves_of((point.params, point.model_state)),
            "optimizer": leaves_of(tree),
            "seconds_at": self.session.history.seconds_at,
        }

    def restore(self, run: Run, fresh: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Put what `save` gave in the places of the fresh state, with the fresh function."""
        self.session.history.seconds_at.update(saved["seconds_at"])
        point: Point = fresh["point"]
        tree, update_function = point.optimizer_state
        params, model_state = restored((point.params, point.model_state), saved["model"])
        optimizer_state = (restored(tree, saved["optimizer"]), update_function)
        return _training(Point(params, model_state, optimizer_state))

    def _checked(self, point: Point, who: str) -> Point:
        """Raise SubmissionError unless parameters and states are what they must be."""
        if not isinstance(point.optimizer_state, tuple) or len(point.optimizer_state) != 2:
            raise SubmissionError(
                f"{who} gave a {type(point.optimizer_state).__name__} as optimizer state; in jax "
                "it is a pair (pytree, update function), and comes first in "
                "(optimizer_state, params, model_state)"
            )
        if _shapes(point.params, point.model_state) != self._shapes:
            raise SubmissionError(
                f"{who} gave parameters or a model state of other shapes than the workload's; "
                "the order is (optimizer_state, params, model_state)"
            )
        return point


def _training(point: Point) -> dict[str, Any]:
    return {"params": point.params, "model_state": point.model_state, "point": point}


def _shapes(*trees: Any) -> list[list[tuple[int, ...]]]:
    return [[np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in trees]


def _rng(seed: Seed) -> jax.Array:
    """Give a legacy key, as AlgoPerf does: uint32[2]."""
    return jnp.asarray(np.array([seed.value >> 32, seed.value % 2**32], np.uint32))
