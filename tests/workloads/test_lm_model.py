"""The language models: both frameworks against each other and a plain reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pacebench.errors import PacebenchError
from pacebench.spec import Mode
from tests.workloads import lm_reference
from tests.workloads.both import by_path
from tests.workloads.lm_both import (
    TINY,
    flax_gradients,
    flax_logits,
    flax_params,
    random_state,
    torch_gradients,
    torch_logits,
    torch_model,
    windows,
)
from tests.workloads.pair import assert_close
from workloads.lm.decoder import FULL, GPT2_124M, Config

ODD = Config(n_vocab=7, context=5, width=6, n_heads=1, mlp_width=4, n_layers=1, precision="float32")
N_CASES = 100  # for each of two configurations


@pytest.mark.parametrize("config", [TINY, ODD], ids=["two layers", "one head"])
def test_both_models_compute_what_the_reference_computes_on_200_random_cases(
    config: Config,
) -> None:
    for seed in range(N_CASES):
        state = random_state(config, seed)
        tokens = windows(config, 1, seed)["inputs"]
        params = by_path(flax_params(config, state))
        wanted = lm_reference.logits(params, tokens, config.n_layers)
        assert_close(torch_logits(config, state, {"inputs": tokens}), wanted, f"torch, case {seed}")
        assert_close(flax_logits(config, state, {"inputs": tokens}), wanted, f"flax, case {seed}")


def test_gradients_agree_and_every_parameter_has_one() -> None:
    state, batch = random_state(TINY), windows(TINY, 3)
    slopes, others = torch_gradients(TINY, state, batch)[1], flax_gradients(TINY, state, batch)[1]
    assert set(slopes) == set(others)
    for name, slope in slopes.items():
        assert np.abs(slope).max() > 0, name
        assert_close(slope, others[name], name)


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
def test_a_position_sees_those_before_it_and_none_behind(call: Any) -> None:
    state, tokens = random_state(TINY), windows(TINY, 2)["inputs"]
    changed = tokens.copy()
    changed[:, 4] = (changed[:, 4] + 1) % TINY.n_vocab
    before, after = (call(TINY, state, {"inputs": x}) for x in (tokens, changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.abs(before[:, 4:] - after[:, 4:]).max(axis=2).min() > 1e-3


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
def test_the_order_of_what_came_before_matters(call: Any) -> None:
    state, tokens = random_state(TINY), windows(TINY, 1)["inputs"]
    tokens[0, :3] = [1, 2, 3]
    swapped = tokens.copy()
    swapped[0, :2] = [2, 1]
    config = replace(TINY, n_layers=1)  # one layer has no other way to know the order
    state = {k: v for k, v in state.items() if not k.startswith("layers.1")}
    before, after = (call(config, state, {"inputs": x}) for x in (tokens, swapped))
    assert np.abs(before[0, 2] - after[0, 2]).max() > 1e-3


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
def test_bfloat16_is_near_float32_and_not_the_same(call: Any) -> None:
    state, batch = random_state(TINY), windows(TINY, 4)
    wanted = call(TINY, state, batch)
    found = call(replace(TINY, precision="bfloat16"), state, batch)
    # Eight bits of a mantissa: 0.4 % a rounding, a few roundings in a row.
    assert 1e-4 < np.abs(found - wanted).max() / np.abs(wanted).max() < 5e-2
    on_cpu = call(replace(TINY, precision="bfloat16_but_on_cpu"), state, batch)
    np.testing.assert_array_equal(on_cpu, wanted)


def test_training_with_any_dropout_rate_is_evaluation() -> None:
    model, tokens = torch_model(TINY, random_state(TINY)), windows(TINY, 2)["inputs"]
    results = []
    for train, rate in ((False, None), (True, None), (True, 0.5)):
        mode = Mode(train=train, dropout_rate=rate, normalize_with="batch", update_running=train)
        results.append(model({"inputs": torch.from_numpy(tokens)}, mode).detach().numpy())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_gradients_are_finite_where_a_head_gets_nothing_but_zeros() -> None:
    state, batch = random_state(TINY), windows(TINY, 1)
    state["layers.0.attn.q_proj.weight"][:] = 0
    for slopes in (torch_gradients(TINY, state, batch)[1], flax_gradients(TINY, state, batch)[1]):
        assert all(np.isfinite(slope).all() for slope in slopes.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 5}, "5 heads of an even width do not share a width of 1024"),
        ({"width": 24}, "8 heads"),
        ({"context": 1}, "2 tokens or more, not 1"),
        ({"precision": "float16"}, "precision 'float16' is unknown"),
    ],
)
def test_a_configuration_that_does_not_come_out_is_an_error(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(PacebenchError, match=message):
        replace(FULL, **change)


def test_the_full_model_is_algoperfs_and_the_other_gpt2s_size() -> None:
    assert (FULL.n_vocab, FULL.context, FULL.width, FULL.n_heads) == (50_257, 1024, 1024, 8)
    assert (FULL.mlp_width, FULL.n_layers, FULL.head_width) == (4096, 12, 128)
    assert FULL.initial_scale == pytest.approx(19.99859, abs=1e-5)  # log2(1024² - 1024)
    assert FULL.residual_stddev == pytest.approx(0.0040825, abs=1e-7)  # 0.02 / √24
    assert (GPT2_124M.width, GPT2_124M.n_heads, GPT2_124M.n_layers) == (768, 12, 12)
    assert GPT2_124M.head_width == 64
    for is_cpu, wanted in ((True, False), (False, True)):
        assert FULL.is_bfloat16(is_cpu=is_cpu) is wanted
