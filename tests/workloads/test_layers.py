"""The shared layers of both frameworks against numpy, for every mode."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import torch
from flax import linen as nn
from numpy.typing import NDArray
from torch.nn import functional

from pacebench.backends import layers_flax, layers_torch
from pacebench.backends.linear_torch import LARGE, Linear, linear
from pacebench.spec import Mode

EPSILON, DECAY = 1e-5, 0.9  # AlgoPerf v0.6, batch norm of cifar and imagenet_resnet
MODES = [
    Mode(train=True, normalize_with=statistics, update_running=is_updating)
    for statistics, is_updating in product(("batch", "running"), (True, False))
]


class Norm(NamedTuple):
    """What batch norm gives: outputs [B, H, W, C], and the running averages afterwards."""

    outputs: NDArray[Any]
    mean: NDArray[Any]
    var: NDArray[Any]


INPUTS = np.random.default_rng(0).normal(1.5, 2.0, (5, 4, 3, 6)).astype(np.float32)
SCALE, BIAS, MEAN, VAR = np.random.default_rng(1).uniform(0.5, 1.5, (4, 6)).astype(np.float32)


def norm_in_numpy(mode: Mode) -> Norm:
    """Batch norm as its definition says, in float64; averages are updated before they are used."""
    x = INPUTS.astype(np.float64)
    batch_mean, batch_var = x.mean((0, 1, 2)), x.var((0, 1, 2))  # numpy's variance is biased
    mean, var = MEAN.astype(np.float64), VAR.astype(np.float64)
    if mode.update_running:
        mean = DECAY * mean + (1 - DECAY) * batch_mean
        var = DECAY * var + (1 - DECAY) * batch_var
    used = (batch_mean, batch_var) if mode.normalize_with == "batch" else (mean, var)
    outputs = (x - used[0]) / np.sqrt(used[1] + EPSILON) * SCALE + BIAS
    return Norm(outputs, mean, var)


def norm_in_torch(mode: Mode) -> Norm:
    """Batch norm in torch."""
    layer = layers_torch.BatchNorm(6)
    arrays = {"weight": SCALE, "bias": BIAS, "running_mean": MEAN, "running_var": VAR}
    layer.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in arrays.items()})
    outputs = layer(torch.from_numpy(INPUTS).permute(0, 3, 1, 2), mode).permute(0, 2, 3, 1)
    return Norm(outputs.detach().numpy(), layer.running_mean.numpy(), layer.running_var.numpy())


def norm_in_flax(mode: Mode) -> Norm:
    """Batch norm in flax."""
    variables = {
        "params": {"scale": SCALE, "bias": BIAS},
        "batch_stats": {"mean": MEAN, "var": VAR},
    }
    outputs, changed = layers_flax.BatchNorm().apply(
        variables, INPUTS, mode, mutable=["batch_stats"]
    )
    stats = changed["batch_stats"]
    return Norm(*(np.asarray(a) for a in (outputs, stats["mean"], stats["var"])))


@pytest.mark.parametrize("norm", [norm_in_torch, norm_in_flax])
@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m.normalize_with}-{m.update_running}")
def test_batch_norm_is_its_definition_in_every_mode(norm: Any, mode: Mode) -> None:
    found, wanted = norm(mode), norm_in_numpy(mode)
    for name in Norm._fields:
        np.testing.assert_allclose(
            getattr(found, name), getattr(wanted, name), rtol=1e-4, atol=1e-5, err_msg=name
        )
    if not mode.update_running:
        assert found.mean.tobytes() == MEAN.tobytes()
        assert found.var.tobytes() == VAR.tobytes()


@pytest.mark.parametrize("norm", [norm_in_torch, norm_in_flax])
def test_batch_norm_does_not_look_at_train_but_at_its_two_switches(norm: Any) -> None:
    for mode in MODES:
        other = Mode(
            train=False, normalize_with=mode.normalize_with, update_running=mode.update_running
        )
        for left, right in zip(norm(mode), norm(other), strict=True):
            assert np.array_equal(left, right)


def drop_in_torch(x: NDArray[Any], mode: Mode, default_rate: float) -> NDArray[Any]:
    """Dropout in torch from seed 0."""
    torch.manual_seed(0)
    return layers_torch.Dropout(default_rate)(torch.from_numpy(x), mode).numpy()


def drop_in_flax(x: NDArray[Any], mode: Mode, default_rate: float) -> NDArray[Any]:
    """Dropout in flax from seed 0."""
    return np.asarray(dropped_in_flax(x, mode, default_rate))


def dropped_in_flax(x: NDArray[Any], mode: Mode, default_rate: float) -> Any:
    """The same as an array of jax's, which may be traced."""
    layer = layers_flax.Dropout(default_rate)
    return layer.apply({}, x, mode, rngs={"dropout": jax.random.PRNGKey(0)})


def dropping(rate: float | None, *, train: bool = True) -> Mode:
    """Give a mode with a dropout rate."""
    return Mode(train=train, dropout_rate=rate, normalize_with="batch", update_running=False)


@pytest.mark.parametrize("drop", [drop_in_torch, drop_in_flax])
@pytest.mark.parametrize(
    ("rate", "effective_rate"), [(None, 0.2), (0.0, 0.0), (0.5, 0.5)], ids=["default", "0", "0.5"]
)
def test_dropout_drops_at_its_rate_and_keeps_the_mean(
    drop: Any, rate: float | None, effective_rate: float
) -> None:
    x = np.full((400, 500), 3.0, np.float32)
    y = drop(x, dropping(rate), 0.2)
    kept = 3.0 / (1 - effective_rate)
    assert np.all((y == 0) | np.isclose(y, kept, rtol=1e-6))
    # 200,000 draws: five deviations are 5 · sqrt(0.25 / 200000) = 0.0056 of the rate.
    assert np.mean(y == 0) == pytest.approx(effective_rate, abs=0.0056)
    assert y.mean() == pytest.approx(3.0, abs=kept * 0.0056)


@pytest.mark.parametrize("drop", [drop_in_torch, drop_in_flax])
@pytest.mark.parametrize("mode", [dropping(0.0), dropping(0.5, train=False)], ids=["0", "eval"])
def test_dropout_does_nothing_at_rate_0_and_outside_training(drop: Any, mode: Mode) -> None:
    x = np.random.default_rng(0).normal(size=(8, 9)).astype(np.float32)
    assert np.array_equal(drop(x, mode, 0.2), x)


def test_dropout_takes_a_traced_rate_in_jax() -> None:
    x = np.random.default_rng(0).normal(size=(8, 9)).astype(np.float32)
    drop = jax.jit(lambda rate: dropped_in_flax(x, dropping(rate), 0.2))
    for rate in (0.0, 0.5):
        assert np.allclose(drop(rate), drop_in_flax(x, dropping(rate), 0.2), rtol=1e-6)


def test_dropout_at_rate_0_draws_nothing() -> None:
    x = np.ones((8, 9), np.float32)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    layers_torch.Dropout(0.2)(torch.from_numpy(x), dropping(0.0))
    assert torch.equal(before, torch.get_rng_state())
    layers_flax.Dropout(0.2).apply({}, x, dropping(0.0))  # would raise for want of a key


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sides", [(8, 8), (9, 12), (5, 7)])
def test_a_same_convolution_is_flaxs(size: int, stride: int, sides: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *sides, 3)).astype(np.float32)
    layer = layers_torch.SameConv2d(3, 4, size, stride)
    found = layer(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    kernel = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
    flax_layer = nn.Conv(4, (size, size), (stride, stride), use_bias=False)
    wanted = flax_layer.apply({"params": {"kernel": kernel}}, x)
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_a_stride_2_convolution_on_even_sides_pads_only_at_the_end() -> None:
    # One row of 4 pixels, kernel of ones: SAME with stride 2 sees pixels 0..2 and 2..3 and a zero.
    layer = layers_torch.SameConv2d(1, 1, 3, 2)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        found = layer(torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(1, 1, 1, 4))
    assert found.flatten().tolist() == [111.0, 1100.0]


def test_a_large_product_is_torchs_own_forwards_and_backwards() -> None:
    n_rows, n_in, n_out = 2 * 200, 300, 301  # 36 million multiplications, of uneven sizes
    assert n_rows * n_in * n_out > LARGE
    torch.manual_seed(0)
    layer = Linear(n_in, n_out)
    x_BTC = torch.randn(2, 200, n_in, requires_grad=True)
    weights_BTC = torch.randn(2, 200, n_out)
    given = [x_BTC, layer.weight, layer.bias]
    ours = torch.autograd.grad((layer(x_BTC) * weights_BTC).sum(), given)
    plain = functional.linear(*given)
    torch.testing.assert_close(layer(x_BTC), plain, rtol=1e-5, atol=1e-5)
    expected = torch.autograd.grad((plain * weights_BTC).sum(), given)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_large_product_without_bias_of_half_precision_or_shapes_alone_is_torchs_too() -> None:
    x, weight = torch.randn(400, 300), torch.randn(301, 300)
    torch.testing.assert_close(linear(x, weight), x @ weight.t(), rtol=1e-5, atol=1e-4)
    assert linear(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16
    assert linear(x.to("meta"), weight.to("meta")).shape == (400, 301)
