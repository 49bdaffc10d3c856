"""Where, when and how much the vision transformers of imagenet drop, in both frameworks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import linen
from flax.errors import InvalidRngError
from numpy.typing import NDArray
from torch.nn import functional

from pacebench.spec import Mode
from tests.workloads import vit_reference
from tests.workloads.both import EVAL, TRAIN, by_path
from tests.workloads.pair import assert_close
from tests.workloads.vit_both import (
    TINY,
    TINY_VARIANTS,
    flax_logits,
    flax_params,
    images,
    random_state,
    torch_logits,
    torch_model,
)
from workloads.imagenet import vit_flax, vit_torch
from workloads.imagenet.vit import Config

DROPPING = replace(TRAIN, dropout_rate=0.5)


def masks_from(seed: int) -> Callable[[tuple[int, ...]], NDArray[np.bool_]]:
    """Give a function that draws one mask after the other."""
    generator = np.random.default_rng(seed)
    return lambda shape: generator.random(shape) < 0.5


def wanted_with_masks(config: Config, state: Any, inputs: NDArray[Any]) -> NDArray[Any]:
    """Compute one image in the reference, with the masks of seed 0 at their places."""
    draw = masks_from(0)
    params = by_path(flax_params(config, state))

    def drop(x: NDArray[Any]) -> NDArray[Any]:
        return x * draw((1, *x.shape))[0] / 0.5

    return vit_reference.logits(params, inputs, config, drop)


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_units_drop_where_algoperfs_jax_drops_them(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, inputs = random_state(config), images(config, 1)
    wanted = wanted_with_masks(config, state, inputs)
    draw = masks_from(0)

    def torch_dropout(x: torch.Tensor, rate: float, *, training: bool) -> torch.Tensor:
        assert training
        return x * torch.from_numpy(draw(tuple(x.shape))) / (1 - rate)

    monkeypatch.setattr(functional, "dropout", torch_dropout)
    assert_close(torch_logits(config, state, {"inputs": inputs}, DROPPING), wanted, "torch")
    draw = masks_from(0)
    monkeypatch.setattr(jax.random, "bernoulli", lambda _key, _keep, shape: draw(shape))
    monkeypatch.setattr(linen.Module, "make_rng", lambda _module, _name: None)
    assert_close(flax_logits(config, state, {"inputs": inputs}, DROPPING), wanted, "flax")
    evaluated = torch_logits(config, state, {"inputs": inputs}, EVAL)
    assert np.abs(evaluated - wanted).max() > 0.01


@pytest.mark.parametrize("mode", [TRAIN, replace(TRAIN, dropout_rate=0.0)], ids=["default", "0"])
def test_training_at_rate_0_draws_nothing_and_is_evaluation(mode: Mode) -> None:
    config = TINY_VARIANTS["all"]
    state, inputs = random_state(config), images(config, 2)
    model = torch_model(config, state)
    before = torch.get_rng_state()
    found = model({"inputs": torch.from_numpy(inputs)}, mode).detach().numpy()
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(found, torch_logits(config, state, {"inputs": inputs}, EVAL))
    found = flax_logits(
        config, state, {"inputs": inputs}, mode
    )  # it has no key: drawing would raise
    assert np.array_equal(found, flax_logits(config, state, {"inputs": inputs}, EVAL))


def test_the_configurations_rate_holds_where_a_call_names_none() -> None:
    config = replace(TINY, dropout_rate=0.5)
    state, inputs = random_state(config), images(config, 2)
    evaluated = torch_logits(config, state, {"inputs": inputs}, EVAL)
    assert np.abs(torch_logits(config, state, {"inputs": inputs}, TRAIN) - evaluated).max() > 0.01
    with pytest.raises(InvalidRngError):
        flax_logits(config, state, {"inputs": inputs}, TRAIN)


@pytest.mark.parametrize("is_glu", [False, True])
def test_an_mlp_that_drops_half_of_its_hidden_units_keeps_its_mean(is_glu: bool) -> None:
    n_draws = 20_000
    row = np.random.default_rng(0).normal(size=TINY.width).astype(np.float32)
    x = np.broadcast_to(row, (n_draws, 1, TINY.width)).copy()
    torch.manual_seed(0)
    torch_mlp = vit_torch.MlpBlock(TINY, is_glu=is_glu)
    flax_mlp = vit_flax.MlpBlock(TINY, is_glu=is_glu)
    variables = flax_mlp.init(jax.random.PRNGKey(0), x[:1], EVAL)
    key = {"dropout": jax.random.PRNGKey(1)}
    with torch.no_grad():
        torch_found = [torch_mlp(torch.from_numpy(x), m).numpy() for m in (DROPPING, EVAL)]
    call = jax.jit(flax_mlp.apply, static_argnames="mode")
    flax_found = [np.asarray(call(variables, x, mode=m, rngs=key)) for m in (DROPPING, EVAL)]
    for dropped, whole in (torch_found, flax_found):
        # The output is linear in the masks, so its mean over draws is the output without them.
        error = dropped.std(0) / math.sqrt(n_draws)
        assert error.min() > 0
        assert np.all(np.abs(dropped.mean(0, dtype=np.float64) - whole[0]) < 5 * error)
