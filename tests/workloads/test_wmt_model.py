"""The transformers of wmt: both frameworks against each other and a plain reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pacebench.errors import PacebenchError
from tests.workloads import wmt_reference
from tests.workloads.both import EVAL, by_path
from tests.workloads.pair import assert_close
from tests.workloads.wmt_both import (
    ALL,
    TINY,
    flax_gradients,
    flax_logits,
    flax_params,
    packed_rows,
    random_state,
    rows,
    torch_gradients,
    torch_logits,
)
from workloads.wmt.transformer import FULL, Config, positions


def wanted_logits(config: Config, state: Any, batch: Any) -> Any:
    """Give what the plain reference computes."""
    params = by_path(flax_params(config, state))
    return wmt_reference.logits(params, batch, config, lambda x: x)


@pytest.mark.parametrize("config", [TINY, ALL], ids=["base", "all"])
def test_the_models_agree_with_the_reference_and_in_gradients_on_packed_rows(
    config: Config,
) -> None:
    state, batch = random_state(config), packed_rows(config)
    counts = batch["weights"] > 0  # rows of padding mean nothing
    torch_found, torch_slopes = torch_gradients(config, state, batch)
    flax_found, flax_slopes = flax_gradients(config, state, batch)
    wanted = wanted_logits(config, state, batch)
    assert_close(torch_found[counts], wanted[counts], "torch")
    assert_close(flax_found[counts], wanted[counts], "flax")
    assert set(torch_slopes) == set(flax_slopes)
    for name, slope in torch_slopes.items():
        assert np.abs(slope).max() > 0, name
        assert_close(slope, flax_slopes[name], name)


def test_the_models_agree_with_the_reference_on_rows_of_one_sentence() -> None:
    config = TINY
    state, batch = random_state(config), rows(config, 3, 7, 6)
    counts = batch["weights"] > 0
    wanted = wanted_logits(config, state, batch)[counts]
    assert_close(torch_logits(config, state, batch, EVAL)[counts], wanted, "torch")
    assert_close(flax_logits(config, state, batch, EVAL)[counts], wanted, "flax")
    assert np.ptp(wanted, axis=0).min() > 1e-2  # the positions differ, and it shows


def test_two_layers_and_one_head_are_what_the_reference_computes() -> None:
    config = Config(n_vocab=7, width=4, n_heads=1, mlp_width=9, n_layers=2, max_length=5)
    state, batch = random_state(config), rows(config, 2, 3, 5)
    counts = batch["weights"] > 0
    wanted = wanted_logits(config, state, batch)[counts]
    assert_close(torch_logits(config, state, batch, EVAL)[counts], wanted, "torch")
    assert_close(flax_logits(config, state, batch, EVAL)[counts], wanted, "flax")


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
def test_a_packed_sentence_sees_nothing_of_its_neighbours_but_their_last_token(call: Any) -> None:
    state, batch = random_state(TINY), packed_rows(TINY)
    changed = {name: array.copy() for name, array in batch.items()}
    # Row 1: other inputs of sentences 1 and 3, and another first token of sentence 2's targets.
    changed["inputs"][1, [0, 1, 5, 6]] = [5, 6, 7, 8]
    changed["targets"][1, 1] = changed["targets"][1, 1] % 18 + 1
    before, after = call(TINY, state, batch, EVAL)[1], call(TINY, state, changed, EVAL)[1]
    # Sentence 2 of the targets is at 1 and 2: 1 predicts the changed token from what is before it.
    assert np.abs(before[1] - after[1]).max() < 1e-5
    assert np.abs(before[2] - after[2]).max() > 1e-3
    assert np.abs(before[0] - after[0]).max() > 1e-3  # sentence 1 reads other inputs


@pytest.mark.parametrize("call", [torch_logits, flax_logits])
def test_a_row_of_nothing_but_padding_is_finite(call: Any) -> None:
    batch = {"inputs": np.zeros((1, 4), np.int32), "targets": np.zeros((1, 4), np.int32)}
    assert np.isfinite(call(TINY, random_state(TINY), batch, EVAL)).all()


def test_positions_are_sines_in_one_half_and_cosines_in_the_other() -> None:
    table = positions(256, 1024)
    assert table.dtype == np.float32
    # f_0 = 1 and f_511 = 10⁻⁴; f_1 = 10000^(-1/511).
    second = 10_000 ** (-1 / 511)
    for place in (0, 1, 255):
        found = table[place, [0, 1, 511, 512, 513, 1023]]
        angles = (place, place * second, place * 1e-4)
        wanted = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 5}, "5 heads do not share a width of 1024"),
        ({"width": 3, "n_heads": 1}, "not 3"),
        ({"activation": "gelu"}, "activation 'gelu' is unknown"),
    ],
)
def test_a_configuration_that_does_not_come_out_is_an_error(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(PacebenchError, match=message):
        Config(**change)


def test_the_full_model_is_algoperfs() -> None:
    assert (FULL.n_vocab, FULL.width, FULL.n_heads, FULL.mlp_width) == (32_000, 1024, 16, 1024)
    assert (FULL.n_layers, FULL.max_length, FULL.dropout_rate) == (6, 256, 0.1)
