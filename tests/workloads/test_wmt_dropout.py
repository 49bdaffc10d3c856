"""Where, when and how much the transformers of wmt drop, in both frameworks."""

from __future__ import annotations

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

from tests.workloads import wmt_reference
from tests.workloads.both import EVAL, TRAIN, by_path
from tests.workloads.pair import assert_close, tensors
from tests.workloads.wmt_both import (
    ALL,
    TINY,
    flax_call,
    flax_logits,
    flax_params,
    random_state,
    rows,
    torch_logits,
    torch_model,
)
from workloads.wmt.transformer import Config

DROPPING = replace(TRAIN, dropout_rate=0.5)


def masks_from(seed: int) -> Callable[[tuple[int, ...]], NDArray[np.bool_]]:
    """Give a function that draws one mask after the other."""
    generator = np.random.default_rng(seed)
    return lambda shape: generator.random(shape) < 0.5


@pytest.mark.parametrize("config", [TINY, ALL], ids=["base", "all"])
def test_units_drop_where_algoperfs_jax_drops_them(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, batch = random_state(config), rows(config, 1, 5, 4)
    reference = masks_from(0)
    params = by_path(flax_params(config, state))
    wanted = wmt_reference.logits(
        params, batch, config, lambda x: x * reference((1, *x.shape))[0] / 0.5
    )
    draw = masks_from(0)

    def torch_dropout(x: torch.Tensor, rate: float, *, training: bool) -> torch.Tensor:
        assert training
        return x * torch.from_numpy(draw(tuple(x.shape))) / (1 - rate)

    monkeypatch.setattr(functional, "dropout", torch_dropout)
    assert_close(torch_logits(config, state, batch, DROPPING), wanted, "torch")
    draw = masks_from(0)
    monkeypatch.setattr(jax.random, "bernoulli", lambda _key, _keep, shape: draw(shape))
    monkeypatch.setattr(linen.Module, "make_rng", lambda _module, _name: None)
    assert_close(flax_logits(config, state, batch, DROPPING), wanted, "flax")
    flax_call.cache_clear()  # it was compiled with these masks
    assert np.abs(torch_logits(config, state, batch, EVAL) - wanted).max() > 0.01


def test_training_at_rate_0_draws_nothing_and_is_evaluation() -> None:
    state, batch, mode = random_state(TINY), rows(TINY, 2, 5, 4), replace(TRAIN, dropout_rate=0.0)
    model = torch_model(TINY, state)
    before = torch.get_rng_state()
    found = model(tensors(batch), mode).detach().numpy()
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(found, torch_logits(TINY, state, batch, EVAL))
    params = flax_params(TINY, state)  # flax has no key: drawing would raise
    programs = [str(flax_call(TINY, m).trace(params, batch).jaxpr) for m in (mode, EVAL)]
    assert programs[0] == programs[1]


def test_the_rate_is_a_tenth_where_a_call_names_none() -> None:
    state, batch = random_state(TINY), rows(TINY, 2, 5, 4)
    rates: list[Any] = []

    def record(x: torch.Tensor, rate: float, *, training: bool) -> torch.Tensor:
        rates.append(rate)
        return x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "dropout", record)
        torch_logits(TINY, state, batch, TRAIN)
    # Both embeddings, 1 attention and 2 places of the MLP in the encoder, 2 and 2 in the decoder.
    assert rates == [0.1] * 9
    with pytest.raises(InvalidRngError):
        flax_logits(TINY, state, batch, TRAIN)
