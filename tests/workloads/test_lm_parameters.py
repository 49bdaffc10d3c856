"""The language models' parameters: totals, names, shapes, kinds, layout and initial values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.spec import ParameterKind
from tests.workloads.both import EVAL, by_path
from tests.workloads.lm_both import (
    TINY,
    flax_params,
    flax_shapes,
    random_state,
    torch_shapes,
    torch_state,
)
from tests.workloads.test_initial_values import NORMAL_KURTOSIS, assert_moments
from tests.workloads.test_parameters import published
from workloads.lm import decoder_flax, decoder_torch
from workloads.lm.decoder import (
    FULL,
    GPT2_124M,
    MINI,
    N_PARAMETERS,
    OUTPUT_PARAMETERS,
    Config,
    layout_of,
    n_parameters,
)

# facts_text_graph_ctr.md, "Parameter counts"; by hand: 50257·768 + 12·(4·768² + 3·768·2048 +
# 2·768 + 1) + 768, and 377·64 + 2·(4·64² + 3·64·128 + 2·64 + 1) + 64.
TOTALS = [(FULL, 252_815_372), (GPT2_124M, 123_551_244), (MINI, 106_370)]
INITIAL = Config(
    n_vocab=300, context=16, width=48, n_heads=3, mlp_width=80, n_layers=2, precision="float32"
)


@pytest.mark.parametrize(("config", "total"), TOTALS)
def test_both_models_have_the_stated_number_of_parameters(config: Config, total: int) -> None:
    for shapes in (torch_shapes(config), flax_shapes(config)):
        assert sum(prod(shape) for shape in shapes.values()) == total
    assert n_parameters(config) == total
    assert TOTALS[0][1] == N_PARAMETERS
    assert len(flax_shapes(FULL)) == 110


def test_flaxs_parameters_have_algoperfs_names_shapes_and_order() -> None:
    wanted = [(n, tuple(shape)) for n, shape in published("finewebedu_lm", "jax")["params"]]
    assert list(flax_shapes(FULL).items()) == wanted


def test_torchs_parameters_are_algoperfs_with_queries_keys_and_values_apart() -> None:
    joined: dict[str, tuple[int, ...]] = {}
    for name, shape in torch_shapes(FULL).items():
        role = name.rsplit(".", 2)[-2]
        if role in ("q_proj", "k_proj", "v_proj"):
            whole = name.replace(role, "w_qkv")
            rows = joined.get(whole, (0, 0))[0] + shape[0]
            joined[whole] = (rows, shape[1])
        else:
            joined[name] = shape
    wanted = [(n, tuple(shape)) for n, shape in published("finewebedu_lm", "pytorch")["params"]]
    assert list(joined.items()) == wanted


def test_kinds_are_the_same_in_both_frameworks() -> None:
    kinds = Counter(torch_kind(name).name for name in torch_shapes(FULL))
    assert kinds == {
        "EMBEDDING": 1,
        "ATTENTION_Q": 12,
        "ATTENTION_K": 12,
        "ATTENTION_V": 12,
        "ATTENTION_OUT": 12,
        "LAYER_NORM_SCALE": 25,
        "WEIGHT": 36,  # two of an MLP and the scale of the queries, in every layer
    }
    assert Counter(flax_kind(path).name for path in flax_shapes(FULL)) == kinds
    names = list(torch_shapes(TINY))
    numbered = {n: np.full(s, names.index(n)) for n, s in torch_shapes(TINY).items()}
    for path, array in by_path(flax_params(TINY, numbered)).items():
        assert flax_kind(path) is torch_kind(names[int(array.flat[0])]), path


def test_the_layout_carries_every_tensor_there_and_back() -> None:
    state = random_state(TINY)
    back = torch_state(TINY, flax_params(TINY, state))
    assert set(back) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array)
    assert set(by_path(flax_params(TINY, state))) == set(flax_shapes(TINY))
    assert len(layout_of(FULL)) == 110


def test_the_output_layer_is_the_embedding() -> None:
    assert OUTPUT_PARAMETERS["torch"][0] in torch_shapes(FULL)
    assert OUTPUT_PARAMETERS["jax"][0] in flax_shapes(FULL)


@cache
def initial_values(stddev: float) -> dict[str, dict[str, NDArray[Any]]]:
    """Give the initial parameters of both frameworks, by torch's names."""
    torch.manual_seed(0)
    config = replace(INITIAL, initial_stddev=stddev)
    model = decoder_torch.build(config)
    init = jax.jit(lambda key, t: decoder_flax.build(config).init(key, {"inputs": t}, EVAL))
    params = init(jax.random.PRNGKey(0), np.zeros((1, 4), np.int32))["params"]
    return {
        "torch": {k: v.detach().numpy() for k, v in model.named_parameters()},
        "jax": torch_state(INITIAL, params),
    }


@pytest.mark.parametrize("stddev", [0.02, 0.08])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_initial_values_follow_the_stated_distributions(framework: str, stddev: float) -> None:
    assert FULL.initial_stddev == 0.02  # AlgoPerf v1.0, finewebedu_lm
    for name, values in initial_values(stddev)[framework].items():
        kind = torch_kind(name)
        if name.endswith("attn_scale"):
            assert float(values) == pytest.approx(np.log2(16 * 15))
        elif kind is ParameterKind.LAYER_NORM_SCALE:
            assert np.all(values == 1)
        else:
            is_residual = name.endswith(("w_out.weight", "fc2.weight"))
            # Over the root of twice the two layers.
            assert_moments(values, stddev / 2 if is_residual else stddev, NORMAL_KURTOSIS)
        assert values.dtype == np.float32
