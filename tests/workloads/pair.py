"""A model of a workload in both frameworks with the same weights, called on the same batch.

Each family's own module has its configurations, its batches and its random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.backends.carry import to_flax, to_torch
from pacebench.spec import Loss, Mode
from tests.workloads.both import EVAL, by_path

Arrays = Mapping[str, NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Pair:
    """How both models of a family are built, and how weights go from one to the other."""

    torch_build: Callable[[Any], torch.nn.Module]
    flax_build: Callable[[Any], Any]
    layout_of: Callable[[Any], Mapping[str, str]]
    loss: Loss
    smallest_batch: Callable[[Any], Any]
    """What flax is initialised with, for a configuration."""
    torch_unfilled: Callable[[Any], torch.nn.Module] | None = None
    """Builds the module without initial values, where those take long."""

    def torch_shapes(self, config: Any) -> Shapes:
        """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
        return _torch_shapes(self, config)

    def flax_shapes(self, config: Any) -> Shapes:
        """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
        return _flax_shapes(self, config)

    def flax_params(self, config: Any, state: Arrays) -> Any:
        """Give flax's tree with torch's weights."""
        return to_flax(state, self.layout_of(config), self.flax_shapes(config))[0]

    def torch_state(self, config: Any, params: Any) -> dict[str, NDArray[Any]]:
        """Give torch's arrays with the weights (or gradients) of flax's tree."""
        return to_torch(params, {}, self.layout_of(config), self.torch_shapes(config))

    def torch_model(self, config: Any, state: Arrays) -> torch.nn.Module:
        """Build the torch model with these weights."""
        model = (self.torch_unfilled or self.torch_build)(config)
        model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
        return model

    def torch_outputs(
        self, config: Any, state: Arrays, batch: Mapping[str, Any], mode: Mode = EVAL
    ) -> NDArray[np.float32]:
        """Call the torch model."""
        with torch.no_grad():
            return self.torch_model(config, state)(tensors(batch), mode).float().numpy()

    def flax_call(self, config: Any, mode: Mode = EVAL) -> Any:
        """Compile the flax model: call(params, batch) -> outputs; without a key drawing raises."""
        model = self.flax_build(config)
        return jax.jit(lambda params, batch: model.apply({"params": params}, batch, mode))

    def flax_outputs(
        self, config: Any, state: Arrays, batch: Mapping[str, Any], mode: Mode = EVAL
    ) -> NDArray[np.float32]:
        """Call the flax model, compiled anew."""
        outputs = self.flax_call(config, mode)(self.flax_params(config, state), dict(batch))
        return np.asarray(outputs, np.float32)

    def torch_gradients(
        self, config: Any, state: Arrays, batch: Mapping[str, Any]
    ) -> tuple[NDArray[Any], Arrays]:
        """Give the outputs and the gradients of the summed loss, by torch's names."""
        model, moved = self.torch_model(config, state), tensors(batch)
        outputs = model(moved, EVAL)
        loss = losses_torch.compute_loss(self.loss, moved["targets"], outputs, moved.get("weights"))
        loss.summed.backward()
        gradients = {k: v.grad.numpy() for k, v in model.named_parameters()}
        return outputs.detach().float().numpy(), gradients

    def flax_gradients(
        self, config: Any, state: Arrays, batch: Mapping[str, Any]
    ) -> tuple[NDArray[Any], Arrays]:
        """Give the outputs and the gradients of the summed loss, by torch's names."""
        model = self.flax_build(config)

        def compute_loss(params: Any) -> tuple[jax.Array, jax.Array]:
            outputs = model.apply({"params": params}, dict(batch), EVAL)
            value = losses_jax.compute_loss(
                self.loss, batch["targets"], outputs, batch.get("weights")
            )
            return value.summed, outputs

        compute = jax.jit(jax.grad(compute_loss, has_aux=True))
        gradients, outputs = compute(self.flax_params(config, state))
        return np.asarray(outputs, np.float32), self.torch_state(config, gradients)

    def paths_by_name(self, config: Any) -> dict[str, str]:
        """Give the flax path at which each torch parameter arrives, told by its values."""
        shapes = self.torch_shapes(config)
        names = list(shapes)
        numbered = {name: np.full(shape, names.index(name)) for name, shape in shapes.items()}
        arrived = by_path(self.flax_params(config, numbered))
        return {names[int(array.flat[0])]: path for path, array in arrived.items()}


@cache
def _torch_shapes(pair: Pair, config: Any) -> Shapes:
    with torch.device("meta"):
        model = pair.torch_build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


@cache
def _flax_shapes(pair: Pair, config: Any) -> Shapes:
    model, batch = pair.flax_build(config), pair.smallest_batch(config)
    found = jax.eval_shape(lambda b: model.init(jax.random.PRNGKey(0), b, EVAL), batch)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


def tensors(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Give a batch to torch; a tuple of arrays stays one."""
    return {
        name: tuple(map(torch.from_numpy, value))
        if isinstance(value, tuple)
        else torch.from_numpy(value)
        for name, value in batch.items()
    }


def random_weights(shapes: Shapes, seed: int = 1, spread: float = 0.2) -> dict[str, NDArray[Any]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters.

    Scales lie around 1 and biases around 0, both by `spread`; weights keep the size of what goes
    through them.
    """
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        noise = generator.standard_normal(shape, np.float32)
        is_scale = name.endswith("weight") and noise.ndim == 1
        scale = spread if noise.ndim == 1 else 1 / np.sqrt(noise[0].size)
        state[name] = (is_scale + scale * noise).astype(np.float32)
    return state


def assert_close(
    left: NDArray[Any], right: NDArray[Any], what: str, tolerance: float = TOLERANCE
) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= tolerance * np.abs(right).max(), what
