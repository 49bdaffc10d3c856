"""The U-Nets of fastmri: parameters, both frameworks against each other and a plain reference."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import torch

from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.plugins import find_workload
from pacebench.spec import Mode
from tests.workloads import unet_reference
from tests.workloads.both import EVAL, by_path
from tests.workloads.fastmri_both import (
    FULL_VARIANTS,
    TINY,
    TINY_VARIANTS,
    flax_gradients,
    flax_images,
    flax_params,
    flax_shapes,
    images,
    paths_by_name,
    random_state,
    torch_gradients,
    torch_images,
    torch_model,
    torch_shapes,
)
from tests.workloads.pair import assert_close
from tests.workloads.test_initial_values import CUT_KURTOSIS, assert_moments
from tests.workloads.test_parameters import published
from workloads.fastmri import unet_flax, unet_torch
from workloads.fastmri.unet import MINI, Config

# facts_vision.md section 4.5.
TOTALS = {
    "fastmri": 7_756_097,
    "fastmri_model_size": 7_692_929,
    "fastmri_tanh": 7_756_097,
    "fastmri_layernorm": 7_761_985,
}
TRAIN = Mode(train=True, dropout_rate=0.5, normalize_with="batch", update_running=True)


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_have_the_stated_number_of_parameters(name: str) -> None:
    for shapes in (torch_shapes, flax_shapes):
        assert sum(int(np.prod(s)) for s in shapes(FULL_VARIANTS[name]).values()) == TOTALS[name]
    assert find_workload(name).n_parameters == TOTALS[name]
    assert find_workload(name).model_config == FULL_VARIANTS[name]


def algoperf_name(name: str) -> str:
    """Undo our one change: the norms of torch are named as such, so that their kind shows."""
    return name.replace("norm_0", "1").replace("norm_1", "5")


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize(("framework", "shapes"), [("pytorch", torch_shapes), ("jax", flax_shapes)])
def test_parameters_have_algoperfs_names_shapes_and_order(
    name: str, framework: str, shapes: Any
) -> None:
    wanted = [(n, tuple(shape)) for n, shape in published(name, framework)["params"]]
    found = shapes(FULL_VARIANTS[name])
    assert [(algoperf_name(n), shape) for n, shape in found.items()] == wanted


@pytest.mark.parametrize("name", TOTALS)
def test_parameters_have_the_kinds_of_algoperfs_jax(name: str) -> None:
    wanted = published(name, "jax")["param_types"]
    config = FULL_VARIANTS[name]
    assert {n.lower(): flax_kind(n).name for n in flax_shapes(config)} == wanted
    for name_in_torch, path in paths_by_name(config).items():
        assert torch_kind(name_in_torch).name == wanted[path.lower()]


@pytest.mark.parametrize("case", TINY_VARIANTS)
def test_the_models_are_what_the_plain_reference_computes(case: str) -> None:
    config = TINY_VARIANTS[case]
    state = random_state(config)
    inputs = images(2, 11, 14)  # 11 is odd at once, 14 after one pooling
    params = by_path(flax_params(config, state))
    how = {"is_tanh": config.activation == "tanh", "has_layer_norm": config.has_layer_norm}
    wanted = np.stack([unet_reference.image(params, x, config.n_pools, **how) for x in inputs])
    assert_close(torch_images(config, state, {"inputs": inputs}, EVAL), wanted, "torch")
    assert_close(flax_images(config, state, {"inputs": inputs}, EVAL), wanted, "flax")
    assert np.ptp(wanted, axis=0).min() > 1e-4  # the images differ, and it shows


@pytest.mark.parametrize("config", [MINI, TINY_VARIANTS["layernorm"]], ids=["mini", "layernorm"])
def test_the_models_agree_in_outputs_and_gradients_on_carried_weights(config: Config) -> None:
    state, inputs = random_state(config), images(3, 20, 20)
    batch = {"inputs": inputs, "targets": images(3, 20, 20, seed=1)}
    torch_found, torch_slopes = torch_gradients(config, state, batch)
    flax_found, flax_slopes = flax_gradients(config, state, batch)
    assert_close(torch_found, flax_found, "images")
    assert set(torch_slopes) == set(flax_slopes) == set(state)
    for name, slope in torch_slopes.items():
        assert np.abs(slope).max() > 0, name
        assert_close(slope, flax_slopes[name], name)


def initial_values(framework: str, config: Config) -> dict[str, tuple[np.ndarray, int]]:
    """Give the initial parameters with the number of inputs that reach one output of each."""
    if framework == "torch":
        torch.manual_seed(0)
        found = {n: p.detach().numpy() for n, p in unet_torch.build(config).named_parameters()}
        return {
            n: (a, a[:, 0].size if "transpose" in n else a[0].size if a.ndim > 1 else 0)
            for n, a in found.items()
        }
    init = jax.jit(unet_flax.build(config).init, static_argnames="mode")
    batch = {"inputs": np.zeros((1, 8, 8), np.float32)}
    found = by_path(init(jax.random.PRNGKey(0), batch, mode=EVAL)["params"])
    return {n: (a, a[..., 0].size if a.ndim > 1 else 0) for n, a in found.items()}


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_weights_start_lecun_normal_and_biases_at_0(framework: str) -> None:
    config = Config(n_pools=2, width=16, has_layer_norm=True)
    for name, (values, fan_in) in initial_values(framework, config).items():
        if fan_in:
            assert_moments(values, fan_in**-0.5, CUT_KURTOSIS)
        else:
            assert np.all(values == (0 if name.endswith("bias") else 1)), name


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_dropout_takes_whole_channels_of_blocks_and_keeps_the_mean(framework: str) -> None:
    x = np.ones((64, 5, 6, 32), np.float32)
    if framework == "torch":
        dropped = unet_torch.drop_channels(torch.from_numpy(x).permute(0, 3, 1, 2), TRAIN, 0.0)
        found = dropped.permute(0, 2, 3, 1).numpy()
    else:
        key = {"dropout": jax.random.PRNGKey(0)}
        found = np.asarray(unet_flax.ChannelDropout(0.0).apply({}, x, TRAIN, rngs=key))
    assert np.all(found == found[:, :1, :1])
    assert set(np.unique(found)) == {0.0, 2.0}
    assert found.mean() == pytest.approx(1.0, abs=5 / np.sqrt(64 * 32))


def test_dropout_changes_training_only_and_its_rate_is_the_calls() -> None:
    state, inputs = random_state(TINY), images(2, 8, 8)
    model = torch_model(TINY, state)
    batch = {"inputs": torch.from_numpy(inputs)}
    no_dropout = Mode(train=True, normalize_with="batch", update_running=True)
    with torch.no_grad():
        plain = model(batch, EVAL)
        assert torch.equal(model(batch, no_dropout), plain)  # the default rate is 0
        assert not torch.equal(model(batch, TRAIN), plain)
    params = flax_params(TINY, state)
    call = jax.jit(unet_flax.build(TINY).apply, static_argnums=2)
    keys = [{"dropout": jax.random.PRNGKey(i)} for i in (0, 0, 1)]
    first, again, other = (
        call({"params": params}, {"inputs": inputs}, TRAIN, rngs=k) for k in keys
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
