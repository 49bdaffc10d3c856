"""The graph networks of ogbg: a plain reference, both frameworks, padding, and what drops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import linen
from flax.errors import InvalidRngError
from numpy.typing import NDArray
from torch.nn import functional

from tests.workloads import ogbg_reference
from tests.workloads.both import EVAL, TRAIN, by_path
from tests.workloads.ogbg_both import (
    TINY,
    TINY_VARIANTS,
    flax_gradients,
    flax_logits,
    flax_params,
    random_graphs,
    random_state,
    torch_gradients,
    torch_logits,
    torch_model,
)
from tests.workloads.pair import assert_close, tensors
from workloads.ogbg.gnn import Config

CONFIGS = pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)


@CONFIGS
def test_torch_is_the_plain_reference_on_50_random_cases(config: Config) -> None:
    for case in range(50):
        state = random_state(config, case)
        batch = random_graphs(config, 1 + case % 2, 4 + case % 9, case % 14, 1 + case % 4, case)
        wanted = ogbg_reference.logits(by_path(flax_params(config, state)), batch, config)
        assert_close(torch_logits(config, state, batch), wanted, f"case {case}")


# The activations differ in nothing else; test_ogbg_golden.py has them in both frameworks.
@pytest.mark.parametrize("name", ["base", "model_size"])
def test_both_frameworks_agree_on_logits_and_gradients(name: str) -> None:
    config = TINY_VARIANTS[name]
    state, batch = random_state(config), random_graphs(config, 2, 11, 17, 4)
    logits, gradients = torch_gradients(config, state, batch)
    other_logits, other_gradients = flax_gradients(config, state, batch)
    assert_close(logits, other_logits, "logits")
    assert set(gradients) == set(other_gradients)
    for parameter, gradient in gradients.items():
        assert np.abs(gradient).max() > 0, parameter
        assert_close(gradient, other_gradients[parameter], parameter)


def test_padding_changes_no_graph_and_shards_do_not_mix() -> None:
    state, batch = random_state(TINY), random_graphs(TINY, 2, 11, 17, 4)
    alone = torch_logits(TINY, state, batch)
    nodes, edges, senders, receivers, graphs = batch["inputs"]
    # Three nodes in a fifth graph, edges from the first of them to itself, and a sixth graph.
    padded = (
        np.pad(nodes, ((0, 0), (0, 3), (0, 0))),
        np.pad(edges, ((0, 0), (0, 9), (0, 0))),
        np.pad(senders, ((0, 0), (0, 9)), constant_values=11),
        np.pad(receivers, ((0, 0), (0, 9)), constant_values=11),
        np.pad(graphs, ((0, 0), (0, 3)), constant_values=4),
    )
    targets = np.pad(batch["targets"], ((0, 0), (0, 2), (0, 0)))
    found = torch_logits(TINY, state, {"inputs": padded, "targets": targets, "weights": targets})
    assert_close(found[:, :4], alone, "graphs")
    for shard in range(2):
        one = {
            "inputs": tuple(a[shard : shard + 1] for a in batch["inputs"]),
            "targets": batch["targets"][shard : shard + 1],
            "weights": batch["weights"][shard : shard + 1],
        }
        assert_close(torch_logits(TINY, state, one)[0], alone[shard], f"shard {shard}")


def masks_from(seed: int) -> Callable[[tuple[int, ...]], NDArray[np.bool_]]:
    """Give a function that draws one mask after the other."""
    generator = np.random.default_rng(seed)
    return lambda shape: generator.random(shape) < 0.5


@pytest.mark.parametrize("config", [TINY, TINY_VARIANTS["model_size"]], ids=["base", "model_size"])
def test_every_hidden_layer_drops_behind_its_activation(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One graph of one node with an edge to itself: the layers drop in the reference's order.
    mode = replace(TRAIN, dropout_rate=0.5)
    state, batch = random_state(config), random_graphs(config, 1, 1, 1, 1)
    n_masks = 0
    reference, params = masks_from(0), by_path(flax_params(config, state))

    def drop(x: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal n_masks
        n_masks += 1
        return x * reference(x.shape) / 0.5

    wanted = ogbg_reference.logits(params, batch, config, drop)
    assert n_masks == 3 * config.n_steps * len(config.hidden)
    draw = masks_from(0)

    def torch_dropout(x: torch.Tensor, rate: float, *, training: bool) -> torch.Tensor:
        assert training
        return x * torch.from_numpy(draw(tuple(x.shape))) / (1 - rate)

    monkeypatch.setattr(functional, "dropout", torch_dropout)
    assert_close(torch_logits(config, state, batch, mode), wanted, "torch")
    draw = masks_from(0)
    monkeypatch.setattr(jax.random, "bernoulli", lambda _key, _keep, shape: draw(shape))
    monkeypatch.setattr(linen.Module, "make_rng", lambda _module, _name: None)
    assert_close(flax_logits(config, state, batch, mode), wanted, "flax")


def test_training_at_rate_0_draws_nothing_and_is_evaluation() -> None:
    state, batch = random_state(TINY), random_graphs(TINY, 2, 11, 17, 4)
    mode = replace(TRAIN, dropout_rate=0.0)
    model = torch_model(TINY, state)
    before = torch.get_rng_state()
    found = model(tensors(batch), mode).detach().numpy()
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(found, torch_logits(TINY, state, batch, EVAL))
    # It has no key: drawing would raise.
    assert_close(flax_logits(TINY, state, batch, mode), found, "flax")


def test_the_rate_is_a_tenth_where_a_call_names_none() -> None:
    state, batch = random_state(TINY), random_graphs(TINY, 1, 5, 4, 2)
    rates: list[Any] = []

    def record(x: torch.Tensor, rate: float, *, training: bool) -> torch.Tensor:
        assert training
        rates.append(rate)
        return x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "dropout", record)
        torch_logits(TINY, state, batch, TRAIN)
    assert rates == [0.1] * 6  # edges, nodes and globals in two steps
    with pytest.raises(InvalidRngError):
        flax_logits(TINY, state, batch, TRAIN)
