"""The standard training step around a level-1 jax submission: an optax transformation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import ScheduleFreeState, schedule_free_eval_params

from pacebench import schedules
from pacebench.backends.base import Algorithm, Run, library_hyperparameters, library_schedule
from pacebench.backends.gradients_jax import mean_gradients
from pacebench.errors import SubmissionError
from pacebench.spec import Batch

GRAD_NORM_EPSILON = 1e-6  # AlgoPerf v0.6 baselines: clip / (norm + 1e-6), at most 1


def standard_algorithm(make: Callable[..., Any], where: str) -> Algorithm:
    """Give the level-2 algorithm of `make(params, hparams, run)` -> GradientTransformation.

    Where the transformation is schedule-free, its average is evaluated. Raises SubmissionError if
    it returns anything else.
    """

    def init(run: Run) -> dict[str, Any]:
        optimizer = make(run.parameters, run.hparams, run)
        if not isinstance(optimizer, optax.GradientTransformation):
            raise SubmissionError(
                f"{where} returned {type(optimizer).__name__}; a level-1 jax submission returns "
                "an optax.GradientTransformation"
            )
        return _initial_state(run, optax.with_extra_args_support(optimizer))

    return Algorithm(init=init, step=_step, prepare_eval=_prepare_eval)


def library_algorithm(make_optimizer: Callable[..., Any], where: str) -> Algorithm:
    """Give the algorithm of a library's function, called with the hyperparameters.

    A `learning_rate` follows the hyperparameter `schedule`, by default a cosine, or none where the
    transformation averages iterates instead (optax.contrib's schedule-free ones).
    """

    def make(_parameters: Any, hparams: Any, run: Run) -> Any:
        values = library_hyperparameters(hparams)
        default = schedules.NONE if "schedule_free" in where else schedules.DEFAULT
        factors = library_schedule(hparams, run.step_hint, default)
        if len(factors) > 1 and "learning_rate" in values:
            peak = values["learning_rate"]
            values["learning_rate"] = lambda count: peak * jnp.asarray(factors)[count]
        return make_optimizer(**values)

    return standard_algorithm(make, where)


def _initial_state(run: Run, optimizer: optax.GradientTransformationExtraArgs) -> dict[str, Any]:
    """Give params, model state, optimizer state and the compiled update, which owns its input."""
    grad_clip = run.hparams.get("grad_clip")
    root = jax.random.PRNGKey(run.seed.int31)

    def update(
        params: Any, model_state: Any, inner: Any, batch: Batch, step: jax.Array
    ) -> tuple[Any, Any, Any]:
        key = jax.random.fold_in(root, step)
        value, gradients, new_model_state = mean_gradients(run, params, model_state, batch, key)
        if grad_clip is not None:
            factor = jnp.minimum(
                1.0, grad_clip / (optax.global_norm(gradients) + GRAD_NORM_EPSILON)
            )
            gradients = jax.tree.map(lambda g: g * factor, gradients)
        updates, inner = optimizer.update(gradients, inner, params, value=value)
        return optax.apply_updates(params, updates), new_model_state, inner

    params = jax.tree.map(jnp.copy, run.params)
    opened = jax.jit(optimizer.init)(params)
    # Schedule-free methods take gradients elsewhere than where they are evaluated.
    is_averaged = isinstance(opened, ScheduleFreeState)
    return {
        "params": params,
        **({"trained": params} if is_averaged else {}),
        "model_state": jax.tree.map(jnp.copy, run.model_state),
        "optimizer": opened,
        "update": jax.jit(update, donate_argnums=(0, 1, 2)),
    }


def _step(run: Run, state: dict[str, Any], batches: Iterator[Batch]) -> dict[str, Any]:
    trained = "trained" if "trained" in state else "params"
    params, model_state, inner = state["update"](
        state[trained],
        state["model_state"],
        state["optimizer"],
        next(batches),
        np.uint32(run.step),
    )
    changed = {"params": params, trained: params, "model_state": model_state}
    return {**state, **changed, "optimizer": inner}


def _prepare_eval(_run: Run, state: dict[str, Any]) -> dict[str, Any]:
    """Put the average in the place of the parameters, where the optimizer is schedule-free."""
    if "trained" not in state:
        return state
    return {**state, "params": _average(state["optimizer"], state["trained"])}


@jax.jit
def _average(optimizer: Any, trained: Any) -> Any:
    return schedule_free_eval_params(optimizer, trained)
