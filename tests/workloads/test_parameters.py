"""Names, shapes, order, totals and kinds of the models' parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.plugins import find_workload
from pacebench.spec import ParameterKind
from tests.workloads.both import flax_variables, torch_variables

# Lists of AlgoPerf's parameters with their types; they lie beside the repository, not in it.
LISTS = Path(__file__).parents[2].parent / "shared" / "spec" / "params"
# facts_speech_dev.md sections 5 and 6; digits is ours: 64·n + n + n² + n + n·10 + 10, n = 1024.
TOTALS = {"digits": 1_126_410, "mnist": 101_770, "cifar": 11_173_962}
# facts_speech_dev.md section 6. AlgoPerf's torch has 9,620: a counter of batches in each of the 20.
CIFAR_STATE_SIZE = 9_600


def published(workload: str, framework: str) -> dict[str, Any]:
    """Read one of AlgoPerf's lists."""
    if not LISTS.is_dir():
        pytest.skip(f"{LISTS} is not there: AlgoPerf's parameter lists are kept beside the repo")
    return json.loads((LISTS / f"params_{workload}_{framework}.json").read_text())


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_and_the_workload_have_the_stated_number_of_parameters(name: str) -> None:
    for variables in (torch_variables, flax_variables):
        assert sum(a.size for a in variables(name)[0].values()) == TOTALS[name]
    assert find_workload(name).n_parameters == TOTALS[name]


@pytest.mark.parametrize("name", ["mnist", "cifar"])
@pytest.mark.parametrize(
    ("framework", "variables"), [("pytorch", torch_variables), ("jax", flax_variables)]
)
def test_parameters_have_algoperfs_names_shapes_and_order(
    name: str, framework: str, variables: Any
) -> None:
    wanted = [(n, tuple(shape)) for n, shape in published(name, framework)["params"]]
    assert [(n, a.shape) for n, a in variables(name)[0].items()] == wanted


@pytest.mark.parametrize("name", ["mnist", "cifar"])
def test_parameters_have_algoperfs_kinds(name: str) -> None:
    wanted = dict(published(name, "pytorch")["param_types"])
    assert {n: torch_kind(n).name for n in torch_variables(name)[0]} == wanted
    wanted = dict(published(name, "jax")["param_types"])
    assert {n.lower(): flax_kind(n).name for n in flax_variables(name)[0]} == wanted


def test_cifar_keeps_the_running_averages_that_algoperf_keeps() -> None:
    buffers, stats = torch_variables("cifar")[1], flax_variables("cifar")[1]
    assert sum(a.size for a in buffers.values()) == CIFAR_STATE_SIZE
    assert sum(a.size for a in stats.values()) == CIFAR_STATE_SIZE
    wanted = [(n, tuple(s)) for n, s in published("cifar", "jax")["state"]]
    assert [(f"batch_stats/{n}", a.shape) for n, a in stats.items()] == wanted
    wanted = [
        (n, tuple(s))
        for n, s in published("cifar", "pytorch")["state"]
        if not n.endswith("num_batches_tracked")
    ]
    assert [(n, a.shape) for n, a in buffers.items()] == wanted


@pytest.mark.parametrize("name", TOTALS)
def test_output_parameters_are_the_last_layers_weight_and_bias(name: str) -> None:
    outputs = find_workload(name).output_parameters
    by_framework = {"torch": (torch_variables, torch_kind), "jax": (flax_variables, flax_kind)}
    for framework, (variables, kind_of) in by_framework.items():
        names = outputs[framework]
        assert [kind_of(n) for n in names] == [ParameterKind.WEIGHT, ParameterKind.BIAS]
        params = variables(name)[0]
        assert params[names[1]].shape == (10,)  # the only layer with 10 outputs
        assert sum(a.shape == (10,) for a in params.values()) == 1
        assert 10 in params[names[0]].shape


@pytest.mark.parametrize("name", TOTALS)
def test_the_layout_names_every_module_that_has_parameters(name: str) -> None:
    layout = find_workload(name).layout
    params = torch_variables(name)[0]
    assert set(layout) == {n.rpartition(".")[0] for n in params}
    paths = flax_variables(name)[0]
    assert set(layout.values()) == {n.rpartition("/")[0] for n in paths}
