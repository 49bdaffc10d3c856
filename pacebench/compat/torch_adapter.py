"""An AlgoPerf submission in torch as an algorithm of the torch backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel

from pacebench.backends.base import Algorithm, NotResumableError, Run
from pacebench.backends.state_torch import restored, tree_of
from pacebench.compat.facade import default_dropout_rate
from pacebench.compat.facade_torch import torch_calls
from pacebench.compat.functions import Point
from pacebench.compat.session import Loaded, Session, load, open_session
from pacebench.errors import SubmissionError
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload
from pacebench.seeds import Seed
from pacebench.spec import Batch

RNG_LIMIT = 2**31 - 1
"""AlgoPerf v0.6 keeps the two words of a torch `rng` below this (v0.5 allows negative ones)."""


def algoperf_algorithm(source: Path, plan: TrialPlan) -> Algorithm:
    """Import the submission in `source` and give it as an algorithm.

    Raises SubmissionError if a function is missing; errors of its code pass.
    """
    return algorithm_of_loaded(load(source, plan, find_workload(plan.workload)))


def algorithm_of_loaded(loaded: Loaded) -> Algorithm:
    """Give an imported submission as an algorithm; its state is a Point."""
    adapter = TorchAdapter(loaded)
    return Algorithm(
        init=adapter.init,
        step=adapter.step,
        prepare_eval=adapter.prepare_eval,
        save=adapter.save,
        restore=adapter.restore,
        shown=lambda: adapter.session.history.eval_results,
    )


class TorchAdapter:
    """The five functions over the backend's module, wrapped for several ranks as they expect."""

    session: Session

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def init(self, run: Run) -> Point:
        """Bind the submission; gives the module and the fresh optimizer state."""
        loaded, is_v05 = self._loaded, self._loaded.generation.is_v05
        rate = default_dropout_rate(loaded.hyperparameters, is_v05)
        calls = torch_calls(loaded.workload.loss, run, rate, is_v05)
        self.session = open_session(loaded, run, calls, _rng)
        params = _wrapped(run)
        return Point(
            params=params, model_state=None, optimizer_state=self.session.init(params, None)
        )

    def step(self, run: Run, point: Point, batches: Iterator[Batch]) -> Point:  # noqa: ARG002
        """Make one step."""
        return _checked(self.session.step(batches, point), "update_params")

    def prepare_eval(self, run: Run, point: Point) -> Point:
        """Give the submission its chance, then see that the backend's module is what it gave."""
        point = _checked(self.session.prepare_eval(point), "prepare_for_eval")
        given = _unwrapped(point.params)
        if given is not run.model:
            try:
                run.model.load_state_dict(given.state_dict())
            except RuntimeError as error:
                raise SubmissionError(
                    "the module returned for evaluation has other parameters than the "
                    f"workload's: {error}"
                ) from error
        return point

    def save(self, run: Run, point: Point) -> dict[str, Any]:
        """Give the optimizer state as a tree; the backend saves the module."""
        if _unwrapped(point.params) is not run.model:
            raise NotResumableError(
                "update_params returned a module of its own, which cannot be rebuilt"
            )
        _check_no_parameters(point.optimizer_state, "optimizer_state")
        return {
            "optimizer_state": tree_of(point.optimizer_state, "optimizer_state"),
            "seconds_at": self.session.history.seconds_at,
        }

    def restore(self, run: Run, fresh: Point, tree: dict[str, Any]) -> Point:  # noqa: ARG002
        """Load what `save` gave into the fresh optimizer state."""
        self.session.history.seconds_at.update(tree["seconds_at"])
        return fresh._replace(
            optimizer_state=restored(fresh.optimizer_state, tree["optimizer_state"])
        )


def _rng(seed: Seed) -> np.ndarray:
    words = (seed.value >> 32) % RNG_LIMIT, seed.value % RNG_LIMIT
    return np.array(words, np.int32)


def _wrapped(run: Run) -> torch.nn.Module:
    """Give the module, in several ranks wrapped so that gradients are averaged over them."""
    if run.n_ranks == 1:
        return run.model
    on_gpu = run.device.type == "cuda"
    return DistributedDataParallel(run.model, device_ids=[run.device] if on_gpu else None)


def _unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """Take off what ranks, or a submission's `torch.compile`, put around a module."""
    if isinstance(module, DistributedDataParallel):
        return _unwrapped(module.module)
    inner = getattr(module, "_orig_mod", None)  # torch.compile's wrapper; its class costs a second
    return module if inner is None else _unwrapped(inner)


def _checked(point: Point, name: str) -> Point:
    if not isinstance(point.params, torch.nn.Module):
        raise SubmissionError(
            f"{name} returned a {type(point.params).__name__} for the parameters; it must return "
            "(optimizer_state, params, model_state) with the module it was given as params"
        )
    return point


def _check_no_parameters(value: Any, where: str) -> None:
    """Raise NotResumableError for the model's own parameters: a copy would train in vain."""
    if isinstance(value, torch.nn.Parameter):
        raise NotResumableError(f"{where} is a parameter of the model, which is saved apart")
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, inner in items:
        _check_no_parameters(inner, f"{where}[{key!r}]")
