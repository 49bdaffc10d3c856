"""ImageNet's ResNet: names, shapes, kinds and initial values of its parameters; variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
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
    fan_in,
)
from tests.workloads.test_parameters import published
from workloads.imagenet import resnet, resnet_flax, resnet_torch

VARIANTS = {
    "imagenet_resnet": resnet.FULL,
    "imagenet_resnet_silu": resnet.SILU,
    "imagenet_resnet_gelu": resnet.GELU,
    "imagenet_resnet_large_bn_init": resnet.LARGE_BN_INIT,
}
# facts_vision.md section 2: tensors, and the numbers in the running averages of 53 batch norms.
N_TENSORS, STATE_SIZE = 161, 53_120
# One block with and one without a projection.
TINY = resnet.Config(n_blocks=(2,), widths=(4,), n_classes=10)
Shapes = list[tuple[str, tuple[int, ...]]]


@cache
def torch_shapes(config: resnet.Config) -> tuple[Shapes, Shapes]:
    """Give names and shapes of parameters and buffers; nothing is allocated."""
    with torch.device("meta"):
        model = resnet_torch.build(config)
    params, buffers = model.named_parameters(), model.named_buffers()
    return [(n, tuple(p.shape)) for n, p in params], [(n, tuple(b.shape)) for n, b in buffers]


def init_flax(config: resnet.Config) -> Any:
    """Give flax's variables from seed 0."""
    images = jnp.ones((1, config.n_side, config.n_side, 3))
    return resnet_flax.build(config).init(jax.random.PRNGKey(0), {"inputs": images}, EVAL)


@cache
def flax_shapes(config: resnet.Config) -> tuple[Shapes, Shapes]:
    """Give paths and shapes of parameters and batch statistics; nothing is computed."""
    trees = jax.eval_shape(lambda: init_flax(config))
    leaves = [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf.shape)
        for path, leaf in jax.tree.leaves_with_path(trees)
    ]
    params = [(n.removeprefix("params/"), s) for n, s in leaves if n.startswith("params/")]
    return params, [(n, s) for n, s in leaves if n.startswith("batch_stats/")]


@cache
def torch_values(config: resnet.Config) -> dict[str, NDArray[Any]]:
    """Give torch's initial parameters by name."""
    torch.manual_seed(0)
    return {n: p.detach().numpy() for n, p in resnet_torch.build(config).named_parameters()}


@cache
def flax_values(config: resnet.Config) -> dict[str, NDArray[Any]]:
    """Give flax's initial parameters by path; compiled whole, it computes nothing else."""
    return by_path(jax.jit(lambda: init_flax(config)["params"])())


BOTH_SHAPES = [torch_shapes, flax_shapes]
BOTH_VALUES = [(torch_values, torch_kind), (flax_values, flax_kind)]
KindOf = Callable[[str], ParameterKind]


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("shapes_of", BOTH_SHAPES)
def test_all_variants_have_the_stated_number_of_parameters(
    shapes_of: Any, config: resnet.Config
) -> None:
    params, state = shapes_of(config)
    assert len(params) == N_TENSORS
    assert sum(np.prod(shape) for _, shape in params) == resnet.N_PARAMETERS == 25_557_032
    assert sum(np.prod(shape) for _, shape in state) == STATE_SIZE


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(
    ("framework", "shapes_of", "kind_of"),
    [("pytorch", torch_shapes, torch_kind), ("jax", flax_shapes, flax_kind)],
)
def test_parameters_have_algoperfs_names_shapes_order_and_kinds(
    framework: str, shapes_of: Any, kind_of: Any, name: str
) -> None:
    lists = published(name, framework)
    params, state = shapes_of(VARIANTS[name])
    assert params == [(n, tuple(shape)) for n, shape in lists["params"]]
    assert state == [
        (n, tuple(shape)) for n, shape in lists["state"] if not n.endswith("num_batches_tracked")
    ]
    # AlgoPerf's jax lower-cases the names of its types.
    types = lists["param_types"]
    assert {n if n in types else n.lower(): kind_of(n).name for n, _ in params} == types


@pytest.mark.parametrize("config", [resnet.FULL, resnet.MINI], ids=["full", "mini"])
def test_layout_and_output_parameters_name_the_models_own(config: resnet.Config) -> None:
    layout = resnet.layout_of(config)
    torch_names, paths = ({n for n, _ in shapes_of(config)[0]} for shapes_of in BOTH_SHAPES)
    assert set(layout) == {n.rpartition(".")[0] for n in torch_names}
    assert set(layout.values()) == {n.rpartition("/")[0] for n in paths}
    assert set(resnet.OUTPUT_PARAMETERS["torch"]) <= torch_names
    assert set(resnet.OUTPUT_PARAMETERS["jax"]) <= paths


@pytest.mark.parametrize(("values_of", "kind_of"), BOTH_VALUES, ids=["torch", "flax"])
def test_kernels_are_lecun_normal_and_the_output_layer_has_deviation_one_hundredth(
    values_of: Any, kind_of: KindOf
) -> None:
    n_kernels = 0
    for name, values in values_of(resnet.MINI).items():
        assert values.dtype == np.float32, name
        if kind_of(name) is ParameterKind.CONV_WEIGHT:
            n_kernels += 1
            stddev = fan_in(values, kind_of is torch_kind) ** -0.5
            assert_moments(values, stddev, CUT_KURTOSIS)
            assert np.abs(values).max() < 1.00001 * 2 * stddev / CUT_DEVIATION
        elif kind_of(name) is ParameterKind.WEIGHT:
            assert_moments(values, 0.01, NORMAL_KURTOSIS)
        elif kind_of(name) is not ParameterKind.BATCH_NORM_SCALE:
            assert np.all(values == 0), name
    assert n_kernels == 1 + 5 * 3 + 4  # the stem, three in each block, four projections


@pytest.mark.parametrize("scale", [0.0, 8.0])
@pytest.mark.parametrize(
    ("values_of", "kind_of", "last"),
    [(torch_values, torch_kind, ".bn3."), (flax_values, flax_kind, "/BatchNorm_2/")],
    ids=["torch", "flax"],
)
def test_bn_init_scale_is_the_initial_scale_of_the_last_batch_norm_of_each_block(
    values_of: Any, kind_of: KindOf, last: str, scale: float
) -> None:
    values = values_of(replace(TINY, bn_init_scale=scale))
    scales = {n: a for n, a in values.items() if kind_of(n) is ParameterKind.BATCH_NORM_SCALE}
    assert len(scales) == 1 + 2 * 3 + 1  # the stem, three in each block, one projection
    assert sum(last in n for n in scales) == 2
    for name, values_C in scales.items():
        assert np.all(values_C == (scale if last in name else 1.0)), name


def test_the_variants_differ_from_the_base_in_one_field_each() -> None:
    assert resnet.FULL.bn_init_scale == 0.0  # facts_vision.md sections 2.1 and 2.4, and below
    assert replace(resnet.FULL, activation="silu") == resnet.SILU
    assert replace(resnet.FULL, activation="gelu") == resnet.GELU
    assert replace(resnet.FULL, bn_init_scale=8.0) == resnet.LARGE_BN_INIT
