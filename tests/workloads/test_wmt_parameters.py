"""The transformers' parameters: totals, names, shapes, kinds, layout and initial values."""

from __future__ import annotations

import math
from collections import Counter
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
from tests.workloads.test_initial_values import NORMAL_KURTOSIS, assert_moments
from tests.workloads.test_parameters import published
from tests.workloads.wmt_both import (
    FULL_VARIANTS,
    TINY,
    TINY_VARIANTS,
    algoperf_torch_name,
    flax_params,
    flax_shapes,
    paths_by_name,
    random_state,
    rows,
    torch_shapes,
    torch_state,
)
from workloads.wmt import transformer_flax, transformer_torch
from workloads.wmt.transformer import (
    FULL,
    MINI,
    N_PARAMETERS,
    OUTPUT_PARAMETERS,
    Config,
    layout_of,
)

# facts_text_graph_ctr.md, "Parameter counts": all parameters, and the number of tensors in jax.
TOTALS = {
    "wmt": (133_521_408, 185),
    "wmt_post_ln": (133_517_312, 181),
    "wmt_attention_temp": (133_521_408, 185),
    "wmt_glu_tanh": (146_116_608, 209),
}
UNIFORM_KURTOSIS = 1.8  # (1/5) / (1/3)², by the integrals of x⁴ and x² over -1 … 1
# All layers at once, with fans that tell the limits apart.
INITIAL = Config(
    n_vocab=200, width=48, n_heads=3, mlp_width=80, n_layers=1, max_length=8, is_glu=True
)


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_have_the_stated_number_of_parameters(name: str) -> None:
    for shapes in (torch_shapes(FULL_VARIANTS[name]), flax_shapes(FULL_VARIANTS[name])):
        assert (sum(map(prod, shapes.values())), len(shapes)) == TOTALS[name]
    assert N_PARAMETERS[name] == TOTALS[name][0]


@pytest.mark.parametrize("name", TOTALS)
def test_flax_has_algoperfs_names_shapes_and_order(name: str) -> None:
    shapes = flax_shapes(FULL_VARIANTS[name])
    wanted = published(name, "jax")["params"]
    assert [[n, list(shape)] for n, shape in shapes.items()] == wanted


@pytest.mark.parametrize("name", TOTALS)
def test_torch_has_algoperfs_modules_in_its_order(name: str) -> None:
    found: dict[str, tuple[int, ...]] = {}
    for ours, shape in torch_shapes(FULL_VARIANTS[name]).items():
        theirs, _, n_parts = algoperf_torch_name(ours)
        found[theirs] = (n_parts * shape[0], *shape[1:])
    wanted = {n: tuple(shape) for n, shape in published(name, "pytorch")["params"]}
    assert found == wanted
    layers = [n.split(".layers.") for n in found]
    assert [n[0] for n in layers] == [n.split(".layers.")[0] for n in wanted]


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_a_parameter_is_of_one_kind_in_both_frameworks(config: Config) -> None:
    paths = paths_by_name(config)
    assert set(paths) == set(torch_shapes(config))
    assert set(paths.values()) == set(flax_shapes(config))
    for name, path in paths.items():
        assert torch_kind(name) is flax_kind(path), (name, path)


def test_kinds_are_those_of_attention_layer_norm_mlp_and_embedding() -> None:
    kinds = Counter(torch_kind(n) for n in torch_shapes(TINY))
    attentions = {ParameterKind[f"ATTENTION_{role}"]: 3 for role in ("Q", "K", "V", "OUT")}
    # An encoder layer has 2 layer norms, a decoder layer 3, and each stack ends in one.
    assert kinds == attentions | {
        ParameterKind.EMBEDDING: 1,
        ParameterKind.LAYER_NORM_SCALE: 7,
        ParameterKind.LAYER_NORM_BIAS: 7,
        ParameterKind.WEIGHT: 4,
        ParameterKind.BIAS: 4,
    }


@pytest.mark.parametrize("config", [MINI, *TINY_VARIANTS.values()], ids=["mini", *TINY_VARIANTS])
def test_the_layout_carries_back_what_it_carried(config: Config) -> None:
    modules = {n.rpartition(".")[0] for n in torch_shapes(config)} - {"shared_embedding"}
    assert set(layout_of(config)) == modules | {"shared_embedding.weight"}
    state = random_state(config)
    params = flax_params(config, state)
    assert {n: a.shape for n, a in by_path(params).items()} == flax_shapes(config)
    back = torch_state(config, params)
    assert set(back) == set(state)
    assert all(np.array_equal(back[n], state[n]) for n in state)


def test_the_output_layer_is_the_embedding() -> None:
    for framework, shapes in (("torch", torch_shapes(FULL)), ("jax", flax_shapes(FULL))):
        assert set(OUTPUT_PARAMETERS[framework]) == {n for n, s in shapes.items() if 32_000 in s}


@cache
def initial_variables() -> Any:
    """Build the flax model from seed 0."""
    init = jax.jit(lambda key, batch: transformer_flax.build(INITIAL).init(key, batch, EVAL))
    return init(jax.random.PRNGKey(0), rows(INITIAL, 1, 4, 4))


def test_the_models_have_no_state() -> None:
    assert set(transformer_torch.build(INITIAL).state_dict()) == set(torch_shapes(INITIAL))
    assert set(initial_variables()) == {"params"}


def initial_torch() -> dict[str, NDArray[Any]]:
    """Give torch's initial values by flax's paths."""
    torch.manual_seed(0)
    model = transformer_torch.build(INITIAL)
    paths = paths_by_name(INITIAL)
    return {paths[n]: p.detach().numpy() for n, p in model.named_parameters()}


def initial_flax() -> dict[str, NDArray[Any]]:
    """Give flax's initial values by path."""
    return by_path(initial_variables()["params"])


@pytest.mark.parametrize("initial", [initial_torch, initial_flax])
def test_initial_values_follow_algoperfs_jax(initial: Any) -> None:
    """facts_text_graph_ctr.md, section 1, "Init": D = 48, mlp 80."""
    for path, values in initial().items():
        module, _, leaf = path.rpartition("/")
        if leaf == "embedding":
            assert_moments(values, 1.0, NORMAL_KURTOSIS)
        elif "norm" in module.lower():
            assert np.all(values == (leaf == "scale")), path
        elif leaf == "bias":
            assert_moments(values, 1e-6, NORMAL_KURTOSIS)
        else:
            limit = math.sqrt(6 / (48 + (80 if "Mlp" in module else 48)))
            assert 0.9 * limit < np.abs(values).max() <= 1.00001 * limit, path
            assert_moments(values, limit / math.sqrt(3), UNIFORM_KURTOSIS)
