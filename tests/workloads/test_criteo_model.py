"""The DLRMs: parameters, AlgoPerf's values, both frameworks and a reference, initial values."""

from __future__ import annotations

import json
import math
from math import prod
from pathlib import Path
from typing import Any
from zlib import crc32

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends.carry import to_flax, to_torch
from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.errors import PacebenchError
from pacebench.plugins import find_workload
from pacebench.spec import Mode, ParameterKind
from tests.workloads.both import EVAL, by_path
from tests.workloads.criteo_both import (
    FULL_VARIANTS,
    TINY,
    TINY_VARIANTS,
    examples,
    flax_gradients,
    flax_logits,
    flax_shapes,
    random_state,
    reference_logits,
    torch_gradients,
    torch_logits,
    torch_shapes,
)
from tests.workloads.pair import assert_close
from tests.workloads.test_initial_values import NORMAL_KURTOSIS, assert_moments
from tests.workloads.test_parameters import published
from workloads.criteo import dlrm_flax, dlrm_torch
from workloads.criteo.dlrm import MINI, Config, layout_of, output_parameters

# facts_text_graph_ctr.md, section 0, and the number of tensors in jax.
TOTALS = {
    "criteo1tb": (539_267_457, 17),
    "criteo1tb_layernorm": (539_275_137, 33),
    "criteo1tb_embed_init": (539_267_457, 17),
    "criteo1tb_resnet": (538_121_473, 17),
}
# They lie beside the repository, not in it.
GOLDEN = Path(__file__).parents[2].parent / "shared" / "spec" / "golden"
# shared/spec/README.md: relative to the largest value.
GOLDEN_TOLERANCE = 1e-4
UNIFORM_KURTOSIS = 1.8  # (1/5) / (1/3)², by the integrals of x⁴ and x² over -1 … 1
DROPPING = Mode(train=True, dropout_rate=0.5, normalize_with="batch", update_running=True)


@pytest.mark.parametrize("name", TOTALS)
def test_both_models_have_the_stated_number_of_parameters(name: str) -> None:
    for shapes in (torch_shapes(FULL_VARIANTS[name]), flax_shapes(FULL_VARIANTS[name])):
        assert (sum(map(prod, shapes.values())), len(shapes)) == TOTALS[name]
    workload = find_workload(name)
    assert workload.n_parameters == TOTALS[name][0]
    assert workload.model_config == FULL_VARIANTS[name]


def test_the_small_model_has_as_many_parameters_as_counted() -> None:
    bottom = (13 * 64 + 64) + (64 * 32 + 32)
    n_inputs = 32 + 27 * 28 // 2  # the bottom's output, and the products of 27 vectors
    top = (n_inputs * 640 + 640) + (640 * 256 + 256) + (256 + 1)
    wanted = 4096 * 32 + bottom + top
    assert sum(map(prod, torch_shapes(MINI).values())) == wanted
    assert find_workload("criteo1tb_mini").n_parameters == wanted


@pytest.mark.parametrize("name", TOTALS)
def test_flax_has_algoperfs_names_shapes_and_order(name: str) -> None:
    wanted = published(name, "jax")["params"]
    assert [[n, list(shape)] for n, shape in flax_shapes(FULL_VARIANTS[name]).items()] == wanted


@pytest.mark.parametrize("name", TOTALS)
def test_torch_has_algoperfs_shapes_but_one_table_for_four_chunks(name: str) -> None:
    theirs = {n: tuple(shape) for n, shape in published(name, "pytorch")["params"]}
    ours = torch_shapes(FULL_VARIANTS[name])
    chunks = [theirs.pop(f"embedding_chunk_{i}") for i in range(4)]
    assert ours["embedding_table.weight"] == (sum(n for n, _ in chunks), chunks[0][1])
    names = our_names(theirs)
    assert {names[n]: shape for n, shape in theirs.items()} == {
        n: shape for n, shape in ours.items() if n != "embedding_table.weight"
    }


def our_names(theirs: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Give our names by AlgoPerf's: it counts activations and norms among the layers."""
    counts: dict[str, int] = {}
    names = {}
    for name, shape in theirs.items():
        module, _, leaf = name.rpartition(".")
        if module == "embed_ln":
            names[name] = f"embedding_norm.{leaf}"
            continue
        part = module[:3]
        if leaf == "weight":
            part_is_norm = len(shape) == 1
            key = f"{part}_norm" if part_is_norm else f"{part}_mlp"
            counts[key] = counts.get(key, -1) + 1
        names[name] = f"{key}.{counts[key]}.{leaf}"
    return names


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_a_parameter_is_of_one_kind_in_both_frameworks(config: Config) -> None:
    names = list(torch_shapes(config))
    numbered = {n: np.full(s, names.index(n)) for n, s in torch_shapes(config).items()}
    arrived = by_path(to_flax(numbered, layout_of(config))[0])
    assert {path: array.shape for path, array in arrived.items()} == flax_shapes(config)
    for path, array in arrived.items():
        name = names[int(array.flat[0])]
        assert torch_kind(name) is flax_kind(path), (name, path)
        is_norm = "norm" in name
        kind = {
            (False, True): ParameterKind.BIAS,
            (False, False): ParameterKind.WEIGHT,
            (True, True): ParameterKind.LAYER_NORM_BIAS,
            (True, False): ParameterKind.LAYER_NORM_SCALE,
        }[is_norm, name.endswith("bias")]
        assert torch_kind(name) is (ParameterKind.EMBEDDING if "table" in name else kind), name


@pytest.mark.parametrize("config", [MINI, *TINY_VARIANTS.values()], ids=["mini", *TINY_VARIANTS])
def test_the_layout_names_every_module_and_carries_back_what_it_carried(config: Config) -> None:
    state = random_state(config)
    layout = layout_of(config)
    modules = {n.rpartition(".")[0] for n in state} - {"embedding_table"}
    assert set(layout) == modules | {"embedding_table.weight"}
    back = to_torch(to_flax(state, layout)[0], {}, layout)
    assert set(back) == set(state)
    assert all(np.array_equal(back[n], state[n]) for n in state)


@pytest.mark.parametrize("config", [*FULL_VARIANTS.values(), TINY])
def test_output_parameters_are_those_of_the_one_logit(config: Config) -> None:
    outputs = output_parameters(config)
    assert {n: torch_shapes(config)[n] for n in outputs["torch"]} == {
        outputs["torch"][0]: (1, config.top[-2]),
        outputs["torch"][1]: (1,),
    }
    kernel, bias = (flax_shapes(config)[n] for n in outputs["jax"])
    assert (kernel, bias) == ((config.top[-2], 1), (1,))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("criteo1tb", {}),
        ("criteo1tb_layernorm", {"has_layer_norm": True}),
        ("criteo1tb_resnet", {"is_residual": True}),
    ],
)
def test_logits_are_algoperfs(name: str, changes: dict[str, bool]) -> None:
    path = GOLDEN / f"golden_{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: AlgoPerf's values are kept beside the repo")
    golden = json.loads(path.read_text())
    sizes = golden["config"]
    config = Config(
        n_rows=sizes["vocab_size"],
        width=sizes["embed_dim"],
        bottom=tuple(sizes["mlp_bottom_dims"]),
        top=tuple(sizes["mlp_top_dims"]),
        **changes,
    )
    theirs = dict(published(name, "pytorch")["params"])
    names = our_names({n: s for n, s in theirs.items() if "chunk" not in n})
    shapes = torch_shapes(config)
    state = {ours: filled(n, shapes[ours]) for n, ours in names.items()}
    chunk = (config.n_rows // 4, config.width)
    table = [filled(f"embedding_chunk_{i}", chunk) for i in range(4)]
    state["embedding_table.weight"] = np.concatenate(table)
    batch = {"inputs": np.array(golden["inputs"]["inputs"], np.float32)}
    wanted = np.array(golden["output"])
    for logits in (torch_logits(config, state, batch), flax_logits(config, state, batch)):
        assert np.abs(logits - wanted).max() <= GOLDEN_TOLERANCE * np.abs(wanted).max()


def filled(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Fill a parameter by the rule in the golden files."""
    wave = 0.1 * np.sin(0.1 * np.arange(prod(shape)) + crc32(name.encode()) % 1000)
    is_scale = len(shape) == 1 and name.endswith("weight")
    return (is_scale + wave).reshape(shape).astype(np.float32)


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_outputs_and_gradients_agree_and_outputs_are_the_references(config: Config) -> None:
    state, batch = random_state(config), examples(200)
    torch_out, torch_grads = torch_gradients(config, state, batch)
    flax_out, flax_grads = flax_gradients(config, state, batch)
    assert_close(flax_out, torch_out, "logits")
    assert_close(torch_out, reference_logits(config, state, batch), "reference")
    assert set(torch_grads) == set(flax_grads)
    for name, gradient in torch_grads.items():
        assert_close(flax_grads[name], gradient, name)


@pytest.mark.full
@pytest.mark.parametrize("name", FULL_VARIANTS)
def test_full_models_agree_and_are_the_references_on_a_table_of_65536_rows(name: str) -> None:
    import dataclasses

    config = dataclasses.replace(FULL_VARIANTS[name], n_rows=65_536)
    state, batch = random_state(config), examples(16)
    state["embedding_table.weight"] *= 0.1
    torch_out, torch_grads = torch_gradients(config, state, batch)
    flax_out, flax_grads = flax_gradients(config, state, batch)
    assert_close(torch_out, reference_logits(config, state, batch), "reference")
    assert_close(flax_out, torch_out, "logits")
    for parameter, gradient in torch_grads.items():
        assert_close(flax_grads[parameter], gradient, parameter)


def test_ids_are_taken_modulo_the_rows_of_the_one_table_whatever_their_column() -> None:
    state, batch = random_state(TINY), examples(8)
    shifted = {"inputs": batch["inputs"].copy()}
    # In float32, where ids above 2²⁴ have steps of 2 and 4: whole tables of 50 rows up to there.
    small = batch["inputs"][:, 13:] % 1000
    shifted["inputs"][:, 13:] = small
    plain = torch_logits(TINY, state, shifted)
    shifted["inputs"][:, 13:] = small + 50 * 1000
    assert np.array_equal(torch_logits(TINY, state, shifted), plain)
    shifted["inputs"][:, 13:] = 2**25 + 4  # 33,554,436 = 671,088 · 50 + 36
    far = torch_logits(TINY, state, shifted)
    shifted["inputs"][:, 13:] = 36
    assert np.array_equal(torch_logits(TINY, state, shifted), far)


def test_dropout_is_behind_the_last_hidden_layer_alone() -> None:
    state, batch = random_state(TINY), examples(64)
    # With these weights the logit is the sum of what the last hidden layer gives.
    state["top_mlp.2.weight"] = np.ones_like(state["top_mlp.2.weight"])
    state["top_mlp.2.bias"] = np.zeros(1, np.float32)
    state["top_mlp.1.weight"] *= 0
    state["top_mlp.1.bias"] = np.full(7, 3, np.float32)
    torch.manual_seed(0)
    logits = torch_logits(TINY, state, batch, DROPPING)
    assert set(np.unique(logits)) <= {6.0 * kept for kept in range(8)}
    assert np.unique(logits).size > 4
    params = to_flax(state, layout_of(TINY))[0]
    rngs = {"dropout": jax.random.PRNGKey(0)}
    model = dlrm_flax.build(TINY)
    call = jax.jit(lambda p: model.apply({"params": p}, batch, DROPPING, rngs=rngs))
    flax = np.asarray(call(params))
    assert set(np.unique(flax)) <= {6.0 * kept for kept in range(8)}
    assert np.unique(flax).size > 4


# Fans that tell the limits apart, and enough of everything.
INITIAL = Config(n_rows=900, width=40, bottom=(300, 40), top=(200, 150, 1), has_layer_norm=True)


def initial_torch(config: Config) -> dict[str, NDArray[Any]]:
    """Give torch's initial values by name."""
    torch.manual_seed(0)
    return {n: p.detach().numpy() for n, p in dlrm_torch.build(config).named_parameters()}


def initial_flax(config: Config) -> dict[str, NDArray[Any]]:
    """Give flax's initial values by torch's names."""
    init = jax.jit(dlrm_flax.build(config).init, static_argnames="mode")
    variables = init(jax.random.PRNGKey(0), examples(1), mode=EVAL)
    assert set(variables) == {"params"}
    return to_torch(variables["params"], {}, layout_of(config))


@pytest.mark.parametrize("initial", [initial_torch, initial_flax])
def test_initial_values_follow_algoperf(initial: Any) -> None:
    """Section 3 of facts_text_graph_ctr.md, model."""
    for name, values in initial(INITIAL).items():
        if "norm" in name:
            assert np.all(values == name.endswith("weight")), name
        elif name == "embedding_table.weight":
            assert_table(values, 1 / math.sqrt(900))
        elif name.endswith("bias"):
            if values.size > 1:
                assert_moments(values, values.size**-0.5, NORMAL_KURTOSIS)
        elif name.startswith("bot"):
            limit = math.sqrt(6 / sum(values.shape))
            assert 0.9 * limit < np.abs(values).max() <= 1.00001 * limit, name
            assert_moments(values, limit / math.sqrt(3), UNIFORM_KURTOSIS)
        else:
            assert_moments(values, math.sqrt(2 / sum(values.shape)), NORMAL_KURTOSIS)


@pytest.mark.parametrize("initial", [initial_torch, initial_flax])
def test_embeddings_of_embed_init_start_between_0_and_1(initial: Any) -> None:
    config = Config(n_rows=900, width=6, bottom=(6,), top=(4, 1), embedding_limit=1.0)
    assert FULL_VARIANTS["criteo1tb_embed_init"].embedding_limit == 1.0
    assert_table(initial(config)["embedding_table.weight"], 1.0)


def assert_table(values: NDArray[Any], limit: float) -> None:
    """Check for U[0, limit)."""
    assert 0 <= values.min() < 0.01 * limit
    assert 0.99 * limit < values.max() <= limit
    assert_moments(values - limit / 2, limit / math.sqrt(12), UNIFORM_KURTOSIS)


def test_widths_that_do_not_fit_are_named() -> None:
    with pytest.raises(PacebenchError, match=r"width 6 are not multiplied with layers \(9, 5\)"):
        Config(n_rows=50, width=6, bottom=(9, 5), top=(11, 7, 1))
    with pytest.raises(PacebenchError, match="keep their width"):
        Config(n_rows=50, width=6, bottom=(9, 9), top=(11, 7, 1), is_residual=True)
