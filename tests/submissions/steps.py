"""A submission's optimizer outside of a trial: parameters, their gradients, and its steps."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pacebench.backends.base import Hyperparameters, Parameter
from pacebench.plugins import installed_submissions
from pacebench.spec import ParameterKind

Arrays = dict[str, NDArray[Any]]

STEP_HINT = 200
_RNG = np.random.default_rng(0)
START: Arrays = {
    "weight": _RNG.normal(size=(4, 3)).astype(np.float32),
    "bias": _RNG.normal(size=3).astype(np.float32),
}
_INPUTS = _RNG.normal(size=(20, 4)).astype(np.float32)
_TARGETS = _RNG.normal(size=(20, 3)).astype(np.float32)


def gradients_at(values: Arrays) -> Arrays:
    """The gradients of the mean squared error of a small linear regression."""
    errors = (_INPUTS @ values["weight"] + values["bias"] - _TARGETS) / len(_INPUTS)
    return {"weight": _INPUTS.T @ errors, "bias": errors.sum(0)}


def point_of(name: str, **changes: Any) -> Hyperparameters:
    """A submission's self-tuning values, some of them changed."""
    fixed = installed_submissions()[name].self_tuning
    assert fixed is not None
    return Hyperparameters({**fixed, **changes})


def make(name: str, framework: str, values: Any, hparams: Hyperparameters) -> Any:
    """What `make` of a built-in gives for parameters in the framework's arrays."""
    module = importlib.import_module(f"submissions.{name}.{name}_{framework}")
    kinds = {"weight": ParameterKind.WEIGHT, "bias": ParameterKind.BIAS}
    parameters = {n: Parameter(v, kinds[n], False) for n, v in values.items()}
    run = SimpleNamespace(step_hint=STEP_HINT, batch_size=20, workload="regression")
    return module.make(parameters, hparams, run)


def torch_steps(
    name: str, hparams: Hyperparameters, n_steps: int, dtype: Any = np.float32
) -> tuple[list[Arrays], Any]:
    """The parameters after each step in torch, and the optimizer in the end."""
    import torch

    values = {n: torch.nn.Parameter(torch.from_numpy(v.astype(dtype))) for n, v in START.items()}
    made = make(name, "torch", values, hparams)
    optimizer, schedule = made if isinstance(made, tuple) else (made, None)
    path = []
    for _ in range(n_steps):
        getattr(optimizer, "train", lambda: None)()
        held = {n: v.detach().numpy().copy() for n, v in values.items()}
        for n, gradient in gradients_at(held).items():
            values[n].grad = torch.from_numpy(gradient)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        path.append({n: v.detach().numpy().copy() for n, v in values.items()})
    return path, optimizer


def jax_steps(name: str, hparams: Hyperparameters, n_steps: int) -> list[Arrays]:
    """The parameters after each step in jax."""
    import jax
    import optax

    values: Any = {n: jax.numpy.asarray(v) for n, v in START.items()}
    optimizer = make(name, "jax", values, hparams)
    state = optimizer.init(values)

    @jax.jit
    def step(values: Any, state: Any, gradients: Any) -> Any:
        updates, state = optimizer.update(gradients, state, values)
        return optax.apply_updates(values, updates), state

    path = []
    for _ in range(n_steps):
        gradients = gradients_at({n: np.asarray(v) for n, v in values.items()})
        values, state = step(values, state, gradients)
        path.append({n: np.asarray(v).copy() for n, v in values.items()})
    return path
