"""One model in both frameworks with the same weights, called on the same batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.backends.carry import to_flax, to_torch
from pacebench.plugins import find_workload, resolve
from pacebench.spec import Mode, Workload
from workloads.cifar import Config as CifarConfig
from workloads.cifar import layout_of

Arrays = Mapping[str, NDArray[Any]]

TRAIN = Mode(train=True, normalize_with="batch", update_running=True)
EVAL = Mode(train=False, normalize_with="running", update_running=False)
INPUT_SHAPES = {"digits": (64,), "mnist": (28, 28, 1), "cifar": (32, 32, 3)}
# A stage without and one with a projection, and a block of each kind, on an odd number of pixels.
SMALL_CIFAR = CifarConfig(widths=(8, 16), n_blocks=(1, 2), n_classes=10)
SMALL_CIFAR_SHAPE = (9, 12, 3)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A workload and the shape of one example."""

    workload: Workload
    shape: tuple[int, ...]

    def batch(self, n_examples: int) -> dict[str, NDArray[Any]]:
        """Give a random batch."""
        generator = np.random.default_rng(0)
        return {
            "inputs": generator.normal(size=(n_examples, *self.shape)).astype(np.float32),
            "targets": generator.integers(0, 10, n_examples),
        }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call gives, as numpy arrays under torch's names."""

    logits: NDArray[Any]
    loss: float
    gradients: Arrays
    buffers: Arrays


def full_case(name: str) -> Case:
    """Give a registered workload."""
    return Case(workload=find_workload(name), shape=INPUT_SHAPES[name])


def small_case(name: str) -> Case:
    """Give a workload with a model that is small enough for tests."""
    case = full_case(name)
    if name != "cifar":
        return case
    workload = replace(case.workload, model_config=SMALL_CIFAR, layout=layout_of(SMALL_CIFAR))
    return Case(workload=workload, shape=SMALL_CIFAR_SHAPE)


def build_torch(case: Case) -> torch.nn.Module:
    """Build the torch model from seed 0."""
    torch.manual_seed(0)
    return resolve(case.workload.torch_model)(case.workload.model_config)


def init_flax(case: Case) -> tuple[Any, Any]:
    """Build the flax model from seed 0; gives its parameters and batch statistics."""
    model = resolve(case.workload.flax_model)(case.workload.model_config)
    init = jax.jit(model.init, static_argnames="mode")
    variables = dict(init(jax.random.PRNGKey(0), case.batch(2), mode=EVAL))
    return variables["params"], variables.get("batch_stats", {})


@cache
def flax_variables(name: str) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Give a registered workload's initial parameters and batch statistics by path."""
    trees = init_flax(full_case(name))
    return by_path(trees[0]), by_path(trees[1])


@cache
def torch_variables(name: str) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Give a registered workload's initial parameters and buffers by name."""
    model = build_torch(full_case(name))
    params = {k: v.detach().numpy() for k, v in model.named_parameters()}
    return params, {k: v.numpy() for k, v in model.named_buffers()}


def by_path(tree: Any) -> dict[str, NDArray[Any]]:
    """Give the leaves of a tree by path, in jax's order."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def random_state(case: Case) -> dict[str, NDArray[np.float32]]:
    """Give a state dict without a zero or a one in it, so that every tensor matters."""
    generator = np.random.default_rng(1)
    state = {}
    for name, tensor in build_torch(case).state_dict().items():
        noise = generator.normal(size=tensor.shape).astype(np.float32)
        has_offset = name.endswith("running_var") or (name.endswith("weight") and noise.ndim == 1)
        scale = 0.2 if noise.ndim < 2 else 1 / np.sqrt(noise[0].size)
        state[name] = (has_offset + scale * noise).astype(np.float32)
    return state


def call_torch(case: Case, state: Arrays, mode: Mode) -> Outcome:
    """Call and differentiate the torch model."""
    model = build_torch(case)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    batch = {k: torch.from_numpy(v) for k, v in case.batch(7).items()}
    logits = model(batch, mode)
    value = losses_torch.compute_loss(case.workload.loss, batch["targets"], logits)
    loss = value.summed / value.n_valid_examples
    loss.backward()
    return Outcome(
        logits=logits.detach().numpy(),
        loss=float(loss.detach()),
        gradients={k: v.grad.numpy() for k, v in model.named_parameters()},
        buffers={k: v.numpy() for k, v in model.named_buffers()},
    )


def call_flax(case: Case, state: Arrays, mode: Mode) -> Outcome:
    """Call and differentiate the flax model on torch's state."""
    workload = case.workload
    model = resolve(workload.flax_model)(workload.model_config)
    params, stats = to_flax(state, workload.layout)
    batch = case.batch(7)

    def mean_loss(params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": params} | ({"batch_stats": stats} if stats else {})
        logits, changed = model.apply(variables, batch, mode, mutable=["batch_stats"])
        value = losses_jax.compute_loss(workload.loss, batch["targets"], logits)
        return value.summed / value.n_valid_examples, (logits, changed)

    gradient = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))
    (loss, (logits, changed)), gradients = gradient(params)
    return Outcome(
        logits=np.asarray(logits),
        loss=float(loss),
        gradients=to_torch(gradients, {}, workload.layout),
        buffers=to_torch({}, changed.get("batch_stats", {}), workload.layout),
    )
