"""The speech models' parameters: totals, names, shapes, kinds, layout and initial values."""

from __future__ import annotations

import math
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
from tests.workloads.both import EVAL, by_path
from tests.workloads.speech_both import (
    CONFORMERS,
    FULL_VARIANTS,
    TINY_CONFORMER,
    TINY_DEEPSPEECH,
    TINY_VARIANTS,
    family_of,
    flax_shapes,
    flax_variables,
    is_statistic,
    paths_by_name,
    random_state,
    speech,
    torch_shapes,
    torch_state,
)
from tests.workloads.test_imagenet_vit_parameters import assert_uniform
from tests.workloads.test_initial_values import CUT_DEVIATION, CUT_KURTOSIS, assert_moments
from tests.workloads.test_parameters import published
from workloads.librispeech import conformer, deepspeech

# facts_speech_dev.md, section 3.4: parameters, tensors and running averages in jax.
TOTALS = {
    "librispeech_conformer": (32_321_792, 154, 4_096),
    "librispeech_conformer_attention_temperature": (32_321_792, 154, 4_096),
    "librispeech_conformer_layernorm": (32_317_696, 146, 4_096),
    "librispeech_conformer_gelu": (32_321_792, 154, 4_096),
    "librispeech_deepspeech": (18_381_312, 178, 9_216),
    "librispeech_deepspeech_tanh": (18_381_312, 178, 9_216),
    "librispeech_deepspeech_no_resnet": (18_381_312, 178, 9_216),
    "librispeech_deepspeech_norm_and_spec_aug": (18_380_288, 176, 0),
}
# Widths whose limits can be told apart; enough numbers for moments.
INITIAL = {
    "conformer": replace(TINY_CONFORMER, width=48, vocabulary_size=20),
    "deepspeech": replace(TINY_DEEPSPEECH, width=48, n_recurrent_layers=1, vocabulary_size=20),
}


def split(shapes: dict[str, tuple[int, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell parameters from running averages."""
    params = {n: s for n, s in shapes.items() if not is_statistic(n)}
    return params, {n: s for n, s in shapes.items() if is_statistic(n)}


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_have_the_stated_number_of_parameters_and_averages(name: str) -> None:
    for shapes in (torch_shapes(FULL_VARIANTS[name]), flax_shapes(FULL_VARIANTS[name])):
        params, stats = split(shapes)
        sizes = [sum(map(prod, part.values())) for part in (params, stats)]
        assert (sizes[0], len(params), sizes[1]) == TOTALS[name]
    stated = conformer.N_PARAMETERS | deepspeech.N_PARAMETERS
    assert stated[name] == TOTALS[name][0]


@pytest.mark.parametrize("name", TOTALS)
def test_flax_has_algoperfs_names_shapes_order_and_kinds(name: str) -> None:
    wanted = published(name, "jax")
    params, stats = split(flax_shapes(FULL_VARIANTS[name]))
    assert [[n, list(shape)] for n, shape in params.items()] == wanted["params"]
    assert [[f"batch_stats/{n}", list(s)] for n, s in stats.items()] == wanted["state"]
    kinds = {n.lower(): kind for n, kind in dict(wanted["param_types"]).items()}
    assert {n.lower(): flax_kind(n).name for n in params} == kinds


@pytest.mark.parametrize("name", TOTALS)
def test_torch_has_algoperfs_shapes_but_for_what_it_fuses(name: str) -> None:
    theirs = [
        tuple(shape)
        for n, shape in published(name, "pytorch")["params"]
        if ".in_proj." not in n and ".lstm." not in n
    ]
    ours = [s for n, s in split(torch_shapes(FULL_VARIANTS[name]))[0].items()]
    fused = ("query", "key", "value", ".lstm.")
    names = split(torch_shapes(FULL_VARIANTS[name]))[0]
    kept = [s for n, s in names.items() if not any(part in n for part in fused)]
    assert sorted(kept) == sorted(theirs)
    assert sum(map(prod, ours)) == TOTALS[name][0]


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_a_parameter_is_of_one_kind_in_both_frameworks(config: Any) -> None:
    paths = paths_by_name(config)
    assert set(paths) == set(torch_shapes(config))
    assert set(paths.values()) == set(flax_shapes(config))
    for name, path in paths.items():
        if not is_statistic(name):
            assert torch_kind(name) is flax_kind(path), (name, path)


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_the_layout_names_every_module_and_carries_back_what_it_carried(config: Any) -> None:
    layout = family_of(config).layout_of(config)
    modules = {n if n.endswith("scale") else n.rpartition(".")[0] for n in torch_shapes(config)}
    assert set(layout) == modules
    state = random_state(config)
    variables = flax_variables(config, state)
    back = torch_state(config, variables["params"], variables.get("batch_stats"))
    assert set(back) == set(state)
    assert all(np.array_equal(back[n], state[n]) for n in state)


@pytest.mark.parametrize("name", ["librispeech_conformer", "librispeech_deepspeech"])
def test_output_parameters_are_those_with_a_row_per_class(name: str) -> None:
    config = FULL_VARIANTS[name]
    stated = (conformer if name in CONFORMERS else deepspeech).OUTPUT_PARAMETERS
    for framework, shapes in (("torch", torch_shapes(config)), ("jax", flax_shapes(config))):
        assert set(stated[framework]) == {n for n, s in shapes.items() if 1024 in s}


@cache
def initial_torch(name: str) -> dict[str, NDArray[Any]]:
    """Give torch's initial values by flax's paths, matrices as [out, in]."""
    torch.manual_seed(0)
    state = family_of(INITIAL[name]).torch.build(INITIAL[name]).state_dict()
    paths = paths_by_name(INITIAL[name])
    return {paths[n]: tensor.numpy() for n, tensor in state.items()}


@cache
def initial_flax(name: str) -> dict[str, NDArray[Any]]:
    """Give flax's initial values by path."""
    model, batch = (
        family_of(INITIAL[name]).flax.build(INITIAL[name]),
        speech(INITIAL[name], (5000,)),
    )
    init = jax.jit(lambda key: model.init(key, batch, EVAL))
    variables = init(jax.random.PRNGKey(0))
    return by_path(variables["params"]) | by_path(variables["batch_stats"])


@pytest.mark.parametrize("initial", [initial_torch, initial_flax])
@pytest.mark.parametrize("name", INITIAL)
def test_initial_values_follow_algoperfs_jax(initial: Any, name: str) -> None:
    """Sections 3, 3.1 and 3.3 of facts_speech_dev.md, at a width of 48."""
    arrays = initial(name)
    assert set(arrays) == set(flax_shapes(INITIAL[name]))
    for path, values in arrays.items():
        *_, layer, leaf = path.split("/")
        if leaf == "var":
            assert np.all(values == 1), path
        elif leaf != "kernel":  # biases, scales (as the distance from 1), running means
            assert np.all(values == 0), path
        elif layer in ("ii", "if", "ig", "io"):
            deviation = 48**-0.5
            assert_moments(values, deviation, CUT_KURTOSIS)
            assert np.abs(values).max() < 1.00001 * 2 * deviation / CUT_DEVIATION, path
        elif layer in ("hi", "hf", "hg", "ho"):
            np.testing.assert_allclose(values @ values.T, np.eye(24), atol=1e-5, err_msg=path)
        else:
            assert_uniform(values, math.sqrt(6 / sum(fans(layer, path))), path)


def fans(layer: str, path: str) -> tuple[int, int]:
    """The fans of a Xavier kernel at a width of 48 and 20 classes."""
    if layer == "Conv2dSubsampling_0":
        return 9, 9 * 48
    if layer == "Conv2dSubsampling_1":
        return 9 * 48, 9 * 48
    if layer == "Conv_0":
        return 5, 5 * 48
    if path.startswith("Subsample_0"):
        return 20 * 48, 48  # 80 mel bins, halved twice
    if path.startswith("Dense_0"):
        return 48, 20
    is_wide = path.startswith("ConformerBlock_0/FeedForward")
    return (48, 2 * 48) if is_wide else (48, 48)
