"""The graph networks' parameters: totals, names, shapes, kinds, layout and initial values."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends.carry import to_torch
from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.plugins import find_workload
from pacebench.spec import ParameterKind
from tests.workloads.both import EVAL, by_path
from tests.workloads.ogbg_both import (
    FULL_VARIANTS,
    TINY_VARIANTS,
    flax_params,
    flax_shapes,
    paths_by_name,
    random_graphs,
    random_state,
    torch_shapes,
)
from tests.workloads.test_initial_values import CUT_DEVIATION, CUT_KURTOSIS, assert_moments
from tests.workloads.test_parameters import published
from workloads.ogbg import gnn_flax, gnn_torch
from workloads.ogbg.gnn import FULL, MINI, N_PARAMETERS, Config, layout_of, output_parameters

# facts_text_graph_ctr.md, "Parameter counts": all parameters, and the number of tensors.
TOTALS = {
    "ogbg": (3_554_176, 66),
    "ogbg_gelu": (3_554_176, 66),
    "ogbg_silu": (3_554_176, 66),
    "ogbg_model_size": (2_571_648, 78),
}
# Small fans beside large ones, so that a wrong one shows.
INITIAL = Config(n_outputs=40, latent=50, hidden=(60, 70), n_steps=1)


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_have_the_stated_number_of_parameters(name: str) -> None:
    for shapes in (torch_shapes(FULL_VARIANTS[name]), flax_shapes(FULL_VARIANTS[name])):
        assert (sum(map(prod, shapes.values())), len(shapes)) == TOTALS[name]
    assert find_workload(name).n_parameters == N_PARAMETERS[name] == TOTALS[name][0]


def test_mini_has_the_stated_number_of_parameters() -> None:
    assert sum(map(prod, torch_shapes(MINI).values())) == find_workload("ogbg_mini").n_parameters


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize(
    ("framework", "shapes_of"), [("jax", flax_shapes), ("pytorch", torch_shapes)]
)
def test_parameters_have_algoperfs_names_shapes_and_order(
    name: str, framework: str, shapes_of: Any
) -> None:
    wanted = [(n, tuple(shape)) for n, shape in published(name, framework)["params"]]
    assert list(shapes_of(FULL_VARIANTS[name]).items()) == wanted


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_a_parameter_is_of_one_kind_in_both_frameworks(config: Config) -> None:
    paths = paths_by_name(config)
    assert set(paths) == set(torch_shapes(config))
    assert set(paths.values()) == set(flax_shapes(config))
    for name, path in paths.items():
        assert torch_kind(name) is flax_kind(path), (name, path)


def test_kinds_are_those_of_embedding_layer_norm_and_dense_layers() -> None:
    kinds = Counter(torch_kind(n) for n in torch_shapes(FULL))
    # 15 hidden layers, the decoder, and two embeddings.
    assert kinds == {
        ParameterKind.EMBEDDING: 2,
        ParameterKind.LAYER_NORM_SCALE: 15,
        ParameterKind.LAYER_NORM_BIAS: 15,
        ParameterKind.WEIGHT: 16,
        ParameterKind.BIAS: 18,
    }


@pytest.mark.parametrize("config", [MINI, *TINY_VARIANTS.values()], ids=["mini", *TINY_VARIANTS])
def test_the_layout_carries_back_what_it_carried(config: Config) -> None:
    assert set(layout_of(config)) == {n.rpartition(".")[0] for n in torch_shapes(config)}
    state = random_state(config)
    params = flax_params(config, state)
    assert {n: a.shape for n, a in by_path(params).items()} == flax_shapes(config)
    back = to_torch(params, {}, layout_of(config))
    assert set(back) == set(state)
    assert all(np.array_equal(back[n], state[n]) for n in state)


@pytest.mark.parametrize("name", TOTALS)
def test_the_output_layer_is_the_one_that_gives_128_logits(name: str) -> None:
    config = FULL_VARIANTS[name]
    for framework, shapes in (("torch", torch_shapes(config)), ("jax", flax_shapes(config))):
        output = [n for n, s in shapes.items() if s == (128,) and "embed" not in n]
        (bias,) = output_parameters(config)[framework][1:]
        assert output == [bias]
        assert set(output_parameters(config)[framework]) <= set(shapes)


def initial_torch() -> dict[str, NDArray[Any]]:
    """Give torch's initial values by flax's paths."""
    torch.manual_seed(0)
    model = gnn_torch.build(INITIAL)
    assert set(model.state_dict()) == set(torch_shapes(INITIAL))  # it has no state
    paths = paths_by_name(INITIAL)
    return {
        paths[n]: p.detach().numpy().T if p.ndim == 2 else p.detach().numpy()
        for n, p in model.named_parameters()
    }


def initial_flax() -> dict[str, NDArray[Any]]:
    """Give flax's initial values by path."""
    batch = random_graphs(INITIAL, 1, 3, 4, 2)
    init = jax.jit(lambda key: gnn_flax.build(INITIAL).init(key, batch, EVAL))
    variables = init(jax.random.PRNGKey(0))
    assert set(variables) == {"params"}  # it has no state
    return by_path(variables["params"])


@pytest.mark.parametrize("initial", [initial_torch, initial_flax])
def test_dense_layers_are_lecun_normal_and_biases_0(initial: Any) -> None:
    """facts_text_graph_ctr.md, sections 0 and 2."""
    for path, values in initial().items():
        if path.endswith("kernel"):
            stddev = len(values) ** -0.5
            assert_moments(values, stddev, CUT_KURTOSIS)
            limit = 2 * stddev / CUT_DEVIATION
            assert 0.8 * limit < np.abs(values).max() < 1.00001 * limit, path
        else:
            assert np.all(values == path.endswith("scale")), path
