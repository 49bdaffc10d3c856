"""ImageNet's ResNet means the same in torch and flax: outputs, gradients, averages, padding.

In float64, because a ReLU whose input is 1e-8 in one framework and -1e-8 in the other would change
a float32 gradient by parts in a hundred; what is compared is the meaning, not the rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends.carry import to_flax, to_torch
from pacebench.spec import Mode
from workloads.imagenet import resnet, resnet_flax, resnet_torch

Arrays = Mapping[str, NDArray[np.float64]]

N_EXAMPLES = 3
TOLERANCE = 1e-9  # relative to the largest value
TRAIN = Mode(train=True, normalize_with="batch", update_running=True)
MODES = [
    Mode(train=True, normalize_with=statistics, update_running=is_updating)
    for statistics, is_updating in product(("batch", "running"), (True, False))
]
# Every kind of block again, at a quarter of MINI's price.
TINY = resnet.Config(n_blocks=(1, 2), widths=(4, 8), n_classes=10, n_side=32)
# Unoptimised code: it compiles in half the time, and a test runs it once.
FAST_COMPILE = {"xla_backend_optimization_level": 0}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call gives, under torch's names."""

    logits: NDArray[np.float64]
    gradients: Arrays
    buffers: Arrays


@cache
def random_state(config: resnet.Config) -> Arrays:
    """Give a state dict without a zero or a one in it, so that every tensor matters."""
    generator = np.random.default_rng(1)
    state = {}
    for name, tensor in resnet_torch.build(config).state_dict().items():
        noise = generator.normal(size=tensor.shape)
        has_offset = name.endswith("running_var") or (name.endswith("weight") and noise.ndim == 1)
        scale = 0.2 if noise.ndim < 2 else 1 / np.sqrt(noise[0].size)
        state[name] = has_offset + scale * noise
    return state


def random_batch(config: resnet.Config) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give images [B, H, W, 3], and factors [B, n_classes] that make a number of the logits."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(N_EXAMPLES, config.n_side, config.n_side, 3))
    return images, generator.normal(size=(N_EXAMPLES, config.n_classes))


def call_torch(config: resnet.Config, mode: Mode) -> Outcome:
    """Call and differentiate the torch model."""
    model = resnet_torch.build(config).double()
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in random_state(config).items()})
    images, factors = random_batch(config)
    logits = model({"inputs": torch.from_numpy(images)}, mode)
    (logits * torch.from_numpy(factors)).sum().backward()
    return Outcome(
        logits=logits.detach().numpy(),
        gradients={k: v.grad.numpy() for k, v in model.named_parameters()},
        buffers={k: v.numpy() for k, v in model.named_buffers()},
    )


def call_flax(config: resnet.Config, mode: Mode) -> Outcome:
    """Call and differentiate the flax model on torch's state."""
    model, layout = resnet_flax.build(config), resnet.layout_of(config)
    params, stats = to_flax(random_state(config), layout)
    images, factors = random_batch(config)

    def weighted_sum(params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": stats}
        logits, changed = model.apply(variables, {"inputs": images}, mode, mutable=["batch_stats"])
        return (logits * factors).sum(), (logits, changed["batch_stats"])

    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(weighted_sum, has_aux=True)).lower(params)
        gradients, (logits, stats_after) = gradient.compile(compiler_options=FAST_COMPILE)(params)
        return Outcome(
            logits=np.asarray(logits),
            gradients=to_torch(gradients, {}, layout),
            buffers=to_torch({}, stats_after, layout),
        )


def assert_same(left: Outcome, right: Outcome) -> None:
    """Check everything that two calls give."""
    pairs = {"logits": (left.logits, right.logits)}
    for name in ("gradients", "buffers"):
        mine, other = getattr(left, name), getattr(right, name)
        assert set(mine) == set(other)
        pairs |= {f"{name} of {k}": (mine[k], other[k]) for k in mine}
    for what, (mine, other) in pairs.items():
        assert mine.shape == other.shape, what
        assert mine.dtype == other.dtype == np.float64, what
        assert np.abs(mine - other).max() <= TOLERANCE * np.abs(mine).max(), what


@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m.normalize_with}-{m.update_running}")
def test_the_models_agree_on_carried_weights_in_every_mode(mode: Mode) -> None:
    outcome = call_torch(resnet.MINI, mode)
    assert outcome.logits.shape == (N_EXAMPLES, 10)
    assert_same(outcome, call_flax(resnet.MINI, mode))
    assert all(np.abs(gradient).max() > 0 for gradient in outcome.gradients.values())
    state = random_state(resnet.MINI)
    for name, buffer in outcome.buffers.items():
        assert np.array_equal(buffer, state[name]) is not mode.update_running, name


@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m.normalize_with}-{m.update_running}")
def test_training_and_evaluation_differ_by_the_two_switches_of_batch_norm_only(mode: Mode) -> None:
    evaluation = replace(mode, train=False)
    assert_same(call_torch(TINY, mode), call_torch(TINY, evaluation))
    model, batch = resnet_flax.build(TINY), {"inputs": jnp.ones((1, 32, 32, 3))}
    params, stats = to_flax(random_state(TINY), resnet.layout_of(TINY))
    programs = [
        jax.make_jaxpr(
            lambda variables, m=m: model.apply(variables, batch, m, mutable=["batch_stats"])
        )({"params": params, "batch_stats": stats})
        for m in (mode, evaluation)
    ]
    assert str(programs[0]) == str(programs[1])


@pytest.mark.parametrize(
    "config",
    [replace(TINY, activation="silu"), replace(TINY, activation="gelu"), replace(TINY, n_side=45)],
    ids=["silu", "gelu", "45 pixels"],
)
def test_the_models_agree_for_every_activation_and_on_odd_sides(config: resnet.Config) -> None:
    outcome = call_torch(config, TRAIN)
    assert_same(outcome, call_flax(config, TRAIN))
    base = call_torch(replace(config, activation="relu"), TRAIN)
    is_same = np.abs(outcome.logits - base.logits).max() < 0.01
    assert is_same == (config.activation == "relu")


def test_activations_are_their_definitions_in_both_frameworks() -> None:
    x = np.linspace(-4.0, 4.0, 41, dtype=np.float32)
    tanh = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))  # Hendrycks and Gimpel 2016
    wanted = {"relu": np.maximum(x, 0), "silu": x / (1 + np.exp(-x)), "gelu": 0.5 * x * (1 + tanh)}
    for name, y in wanted.items():
        found = resnet_torch.ACTIVATIONS[name](torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, y, atol=1e-6)
        np.testing.assert_allclose(resnet_flax.ACTIVATIONS[name](x), y, atol=1e-6)


def test_the_pool_pads_one_pixel_on_every_side() -> None:
    # Windows are rows and columns {0, 1} and {1, 2, 3}; "SAME" would see {0, 1, 2} and {2, 3}.
    image = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4, 1)
    wanted = [5.0, 7.0, 13.0, 15.0]
    assert resnet_torch.pool(torch.from_numpy(image).view(1, 1, 4, 4)).flatten().tolist() == wanted
    assert resnet_flax.pool(jnp.asarray(image)).flatten().tolist() == wanted


def test_the_stem_pads_three_pixels_and_the_strided_convolution_only_at_the_end() -> None:
    # Ones times ones: the corner's window holds 4x4 pixels of 3 colours ("SAME" would hold 5x5),
    # and a strided 3x3 window at the start holds 9 pixels, at the end 2x2 (rows 2 and 3 of 4).
    model = resnet_torch.build(TINY)
    stem, strided = model.conv1, model.get_submodule("layer2.0").conv2
    for layer in (stem, strided):
        torch.nn.init.ones_(layer.weight)
    assert stem(torch.ones(1, 3, 32, 32)).shape == (1, 4, 16, 16)
    assert stem(torch.ones(1, 3, 32, 32))[0, 0, 0, 0].item() == 4 * 4 * 3
    assert strided(torch.ones(1, 8, 4, 4))[0, 0].tolist() == [[72.0, 48.0], [48.0, 32.0]]
