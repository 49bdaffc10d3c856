"""Initial values follow one distribution per kind of parameter, the same in both frameworks."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.spec import ParameterKind
from tests.workloads.both import flax_variables, torch_variables

# A unit normal cut at ±2 has deviation 0.87963 and fourth moment 2.3656 times its variance
# squared: with p = 0.05399 (its density at 2) and z = 0.95450 (its mass), the variance is
# 1 - 4p/z = 0.77374 and the fourth moment 3 · 0.77374 - 16p/z = 1.41620.
CUT_DEVIATION = 0.87963
CUT_KURTOSIS = 2.3656
NORMAL_KURTOSIS = 3.0

FRAMEWORKS = [(torch_variables, torch_kind), (flax_variables, flax_kind)]
NAMES = ["digits", "mnist", "cifar"]


def fan_in(weight: NDArray[Any], is_torch: bool) -> int:
    """How many inputs reach one output of a weight."""
    return prod(weight.shape[1:]) if is_torch else prod(weight.shape[:-1])


def assert_moments(weight: NDArray[Any], stddev: float, kurtosis: float) -> None:
    """Check mean, deviation and kurtosis within five deviations of their estimates."""
    values = weight.astype(np.float64).ravel() / stddev
    error = 5 / np.sqrt(values.size)
    assert abs(values.mean()) < error
    assert values.std() == pytest.approx(1.0, abs=error)  # 1/sqrt(2n) or less for these
    assert (values**4).mean() == pytest.approx(kurtosis, abs=10 * error)  # sqrt(96/n) or less


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("variables", "kind_of"), FRAMEWORKS, ids=["torch", "flax"])
def test_weights_are_lecun_normal_cut_at_two_deviations(
    name: str, variables: Any, kind_of: Any
) -> None:
    weights = {
        n: a
        for n, a in variables(name)[0].items()
        if kind_of(n) in (ParameterKind.WEIGHT, ParameterKind.CONV_WEIGHT)
    }
    if name == "cifar":
        del weights["fc.weight" if kind_of is torch_kind else "Dense_0/kernel"]
    assert weights
    for weight in weights.values():
        stddev = fan_in(weight, kind_of is torch_kind) ** -0.5
        assert_moments(weight, stddev, CUT_KURTOSIS)
        limit = 2 * stddev / CUT_DEVIATION
        assert 0.9 * limit < np.abs(weight).max() < 1.00001 * limit


@pytest.mark.parametrize(
    ("variables", "output"), [(torch_variables, "fc.weight"), (flax_variables, "Dense_0/kernel")]
)
def test_cifars_output_weights_are_normal_with_deviation_one_hundredth(
    variables: Any, output: str
) -> None:
    assert_moments(variables("cifar")[0][output], 0.01, NORMAL_KURTOSIS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("variables", "kind_of"), FRAMEWORKS, ids=["torch", "flax"])
def test_biases_start_at_0(name: str, variables: Any, kind_of: Any) -> None:
    biases = [
        a
        for n, a in variables(name)[0].items()
        if kind_of(n) in (ParameterKind.BIAS, ParameterKind.BATCH_NORM_BIAS)
    ]
    assert biases
    assert all(np.all(bias == 0) for bias in biases)


@pytest.mark.parametrize(
    ("variables", "last_of_block"), [(torch_variables, ".bn2."), (flax_variables, "/BatchNorm_1/")]
)
def test_scales_start_at_1_and_the_last_of_each_block_at_0(
    variables: Any, last_of_block: str
) -> None:
    kind_of = torch_kind if variables is torch_variables else flax_kind
    scales = {
        n: a
        for n, a in variables("cifar")[0].items()
        if kind_of(n) is ParameterKind.BATCH_NORM_SCALE
    }
    # 1 after the input, 2 in each of 8 blocks, 3 in the shortcuts.
    assert len(scales) == 20
    assert sum(last_of_block in n for n in scales) == 8
    for name, scale in scales.items():
        assert np.all(scale == (0 if last_of_block in name else 1)), name


@pytest.mark.parametrize("variables", [torch_variables, flax_variables])
def test_running_averages_start_at_mean_0_and_variance_1(variables: Any) -> None:
    for name, values in variables("cifar")[1].items():
        assert np.all(values == ("var" in name)), name
