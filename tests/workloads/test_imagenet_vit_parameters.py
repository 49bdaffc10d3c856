"""The vision transformers' parameters: totals, names, shapes, kinds, layout and initial values."""

from __future__ import annotations

import math
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
from tests.workloads.test_initial_values import (
    CUT_DEVIATION,
    CUT_KURTOSIS,
    NORMAL_KURTOSIS,
    assert_moments,
)
from tests.workloads.test_parameters import published
from tests.workloads.vit_both import (
    FULL_VARIANTS,
    TINY_VARIANTS,
    flax_params,
    flax_shapes,
    images,
    paths_by_name,
    random_state,
    torch_shapes,
    torch_state,
)
from workloads.imagenet import vit_flax, vit_torch
from workloads.imagenet.vit import FULL, MINI, N_PARAMETERS, OUTPUT_PARAMETERS, Config, layout_of

# facts_vision.md, section 3, and the number of tensors in jax.
TOTALS = {
    "imagenet_vit": (22_122_472, 200),
    "imagenet_vit_glu": (50_452_456, 224),
    "imagenet_vit_post_ln": (22_121_704, 198),
    "imagenet_vit_map": (23_896_552, 215),
}
UNIFORM_KURTOSIS = 1.8  # (1/5) / (1/3)², by the integrals of x⁴ and x² over -1 … 1
# All layers of the variants at once, with fans that tell the limits apart.
INITIAL = Config(
    width=48,
    depth=1,
    mlp_width=80,
    n_heads=3,
    patch=4,
    n_side=8,
    n_classes=10,
    is_glu=True,
    has_map_head=True,
)
# AlgoPerf's torch -> ours in the MAP head: its names hide that this is an attention, and it fuses
# keys and values.
MAP_NAMES = {
    "mha.q_proj": ("attention.query",),
    "mha.kv_proj": ("attention.key", "attention.value"),
    "mha.out_proj": ("attention.out",),
}


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_have_the_stated_number_of_parameters(name: str) -> None:
    for shapes in (torch_shapes(FULL_VARIANTS[name]), flax_shapes(FULL_VARIANTS[name])):
        assert (sum(map(prod, shapes.values())), len(shapes)) == TOTALS[name]
    assert N_PARAMETERS[name] == TOTALS[name][0]


@pytest.mark.parametrize("name", TOTALS)
def test_flax_has_algoperfs_names_shapes_order_and_kinds(name: str) -> None:
    wanted = published(name, "jax")
    shapes = flax_shapes(FULL_VARIANTS[name])
    assert [[n, list(shape)] for n, shape in shapes.items()] == wanted["params"]
    assert {n.lower(): flax_kind(n).name for n in shapes} == wanted["param_types"]


@pytest.mark.parametrize("name", TOTALS)
def test_torch_has_algoperfs_names_shapes_and_order(name: str) -> None:
    wanted = [pair for n, s in published(name, "pytorch")["params"] for pair in ours(n, tuple(s))]
    shapes = torch_shapes(FULL_VARIANTS[name])
    assert set(shapes.items()) == set(wanted)
    others = [n for n, _ in wanted if not n.startswith("map.attention")]
    assert [n for n in shapes if not n.startswith("map.attention")] == others


def ours(name: str, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """Give the parameters that one of AlgoPerf's torch parameters is here."""
    for theirs, names in MAP_NAMES.items():
        if theirs in name:
            part = (shape[0] // len(names), *shape[1:])
            return [(name.replace(theirs, n), part) for n in names]
    return [(name, shape)]


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_a_parameter_is_of_one_kind_in_both_frameworks(config: Config) -> None:
    paths = paths_by_name(config)
    assert set(paths) == set(torch_shapes(config))
    assert set(paths.values()) == set(flax_shapes(config))
    for name, path in paths.items():
        assert torch_kind(name) is flax_kind(path), (name, path)


def test_an_attention_has_queries_keys_values_outputs_and_biases() -> None:
    kinds = [torch_kind(n) for n in torch_shapes(TINY_VARIANTS["map"])]
    for role in ("Q", "K", "V", "OUT"):
        assert kinds.count(ParameterKind[f"ATTENTION_{role}"]) == 2  # one block and the head
    assert kinds.count(ParameterKind.ATTENTION_BIAS) == 8


@pytest.mark.parametrize("config", [MINI, *TINY_VARIANTS.values()], ids=["mini", *TINY_VARIANTS])
def test_the_layout_names_every_module_and_carries_back_what_it_carried(config: Config) -> None:
    modules = {n.rpartition(".")[0] for n in torch_shapes(config)} - {"map"}
    probe = {"map.probe"} if config.has_map_head else set()
    assert set(layout_of(config)) == modules | probe
    state = random_state(config)
    params = flax_params(config, state)
    assert {n: a.shape for n, a in by_path(params).items()} == flax_shapes(config)
    back = torch_state(config, params)
    assert set(back) == set(state)
    assert all(np.array_equal(back[n], state[n]) for n in state)


def test_output_parameters_are_the_heads() -> None:
    for framework, shapes in (("torch", torch_shapes(FULL)), ("jax", flax_shapes(FULL))):
        assert set(OUTPUT_PARAMETERS[framework]) == {n for n, s in shapes.items() if 1000 in s}


def test_the_models_have_no_state() -> None:
    assert set(vit_torch.build(INITIAL).state_dict()) == set(torch_shapes(INITIAL))
    assert set(initial_variables()) == {"params"}


@cache
def initial_variables() -> Any:
    """Build the flax model from seed 0."""
    init = jax.jit(vit_flax.build(INITIAL).init, static_argnames="mode")
    return init(jax.random.PRNGKey(0), {"inputs": images(INITIAL, 1)}, mode=EVAL)


def initial_torch() -> dict[str, NDArray[Any]]:
    """Give torch's initial values by flax's paths, matrices as [out, in]."""
    torch.manual_seed(0)
    model = vit_torch.build(INITIAL)
    paths = paths_by_name(INITIAL)
    return {paths[n]: p.detach().numpy() for n, p in model.named_parameters()}


def initial_flax() -> dict[str, NDArray[Any]]:
    """Give flax's initial values by path."""
    return by_path(initial_variables()["params"])


@pytest.mark.parametrize("initial", [initial_torch, initial_flax])
def test_initial_values_follow_algoperfs_jax(initial: Any) -> None:
    """Section 3.1 and 3.4 of facts_vision.md: D = 48, mlp 80, patches of 4 x 4 x 3."""
    for path, values in initial().items():
        module, _, leaf = path.rpartition("/")
        layer = module.rpartition("/")[2]
        if leaf == "probe":
            assert_uniform(values, math.sqrt(6 / (1 + 48)), path)
        elif layer.startswith("LayerNorm") or layer == "encoder_layernorm":
            assert np.all(values == (leaf == "scale")), path
        elif layer == "head":
            assert np.all(values == 0), path
        elif layer in ("query", "key", "value", "out") and leaf == "kernel":
            assert_uniform(values, math.sqrt(6 / (48 + 48)), path)
        elif "MlpBlock" in module and leaf == "kernel":
            is_gate = values.shape == (80, 80)
            assert_uniform(values, math.sqrt(6 / (160 if is_gate else 128)), path)
        elif "MlpBlock" in module:
            assert_moments(values, 1e-6, NORMAL_KURTOSIS)
        elif leaf == "bias":
            assert np.all(values == 0), path
        else:
            deviation = {"conv_patch_extract": 48, "pre_logits": 48}[layer] ** -0.5
            assert_moments(values, deviation, CUT_KURTOSIS)
            limit = 2 * deviation / CUT_DEVIATION
            assert 0.9 * limit < np.abs(values).max() < 1.00001 * limit, path


def assert_uniform(values: NDArray[Any], limit: float, path: str) -> None:
    """Check for U(-limit, limit)."""
    assert 0.9 * limit < np.abs(values).max() <= 1.00001 * limit, path
    assert_moments(values, limit / math.sqrt(3), UNIFORM_KURTOSIS)
