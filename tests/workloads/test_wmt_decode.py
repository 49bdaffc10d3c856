"""Writing with the transformers of wmt: cached steps, and what evaluation makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends.base import Algorithm, Run
from pacebench.beam_search import search
from pacebench.data import ArraySource
from pacebench.evaluate import evaluate
from pacebench.plugins import find_workload
from pacebench.spec import Batch, Decoding, EvalOutputs, LossValue, Partial, Workload
from pacebench.trial import Trial
from tests import beam_reference
from tests.support import library_plan, open_trial
from tests.workloads.both import EVAL
from tests.workloads.pair import assert_close, tensors
from tests.workloads.wmt_both import (
    ALL,
    TINY,
    flax_params,
    random_state,
    rows,
    torch_logits,
    torch_model,
)
from workloads.wmt import transformer_flax, transformer_torch
from workloads.wmt.transformer import OUTPUT_PARAMETERS, Config, layout_of

# An end token that this model likes.
DECODING = Decoding(beam_size=3, max_length=8, end_token=11, splits=("validation",))
# Parents of three beams at every step: kept, swapped, and all of one.
PARENTS = [(0, 1, 2), (2, 0, 1), (1, 1, 1), (0, 2, 2), (2, 1, 0), (0, 0, 1), (1, 2, 0)]


class Stepwise:
    """The cached steps of a model in either framework."""

    def __init__(self, framework: str, config: Config, inputs: NDArray[Any]) -> None:
        state = random_state(config)
        if framework == "torch":
            model = torch_model(config, state)
            cache = model.start(tensors({"inputs": inputs}), DECODING)
            self._advance = lambda c, p, t, i: model.advance(
                c, torch.from_numpy(p), torch.from_numpy(t), i
            )
        else:
            flax, params = transformer_flax.build(config), {"params": flax_params(config, state)}
            start = jax.jit(lambda b: flax.apply(params, b, DECODING, method="start"))
            cache = start({"inputs": inputs})
            self._advance = jax.jit(
                lambda c, p, t, i: flax.apply(params, c, p, t, i, method="advance")
            )
        self._cache = cache

    def advance(self, parents: NDArray[Any], tokens: NDArray[Any], position: int) -> Any:
        """Give the logits [B, K, V] after one more token of every beam."""
        with torch.no_grad():
            logits, self._cache = self._advance(self._cache, parents, tokens, position)
        return np.asarray(logits)


# Of the base model in jax more is asked below.
@pytest.mark.parametrize(
    ("config", "framework"),
    [(TINY, "torch"), (ALL, "torch"), (ALL, "jax")],
    ids=["base-torch", "all-torch", "all-jax"],
)
def test_cached_steps_are_the_whole_forward_of_every_beams_sequence(
    config: Config, framework: str
) -> None:
    batch = rows(config, 2, 6, 7)
    steps = Stepwise(framework, config, batch["inputs"])
    generator = np.random.default_rng(0)
    sequences = np.zeros((2, 3, 0), np.int64)  # what each beam has read after the start token
    tokens = np.zeros((2, 3), np.int64)
    for position in range(7):
        parents = np.array([PARENTS[position], PARENTS[-position - 1]])
        logits = steps.advance(parents, tokens, position)
        if position:
            kept = np.take_along_axis(sequences, parents[:, :, None], axis=1)
            sequences = np.concatenate([kept, tokens[:, :, None]], axis=2)
        # The whole forward predicts token n from those before it: one more, of any number, asks.
        asked = np.concatenate([sequences, np.ones((2, 3, 1), np.int64)], axis=2)
        whole = {
            "inputs": np.repeat(batch["inputs"], 3, axis=0),
            "targets": asked.reshape(6, -1),
        }
        wanted = torch_logits(config, random_state(config), whole, EVAL)[:, -1]
        assert_close(logits.reshape(6, -1), wanted, f"position {position}")
        tokens = generator.integers(1, config.n_vocab, (2, 3))


class Written:
    """A metric that keeps what was written."""

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Keep the real rows."""
        real = batch["weights"].max(axis=1) > 0
        assert outputs.shape == batch["targets"].shape
        return {"decoded": batch["decoded"][real]} if "decoded" in batch else {}

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Put batches behind each other."""
        return {k: np.concatenate([left[k], right[k]]) for k in left}

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        """Remember the sequences by the split's size."""
        if partial:
            self.found[n_examples] = partial["decoded"]
        return {"accuracy": 0.0}


def tiny_workload() -> Workload:
    """Give a workload of the tiny model, on random sentences."""
    sentences = {n: ArraySource(**rows(TINY, n, 9, 7)) for n in (3, 7)}
    splits = ("train", "eval_train", "validation", "test")
    return replace(
        find_workload("digits"),
        model_config=TINY,
        torch_model="workloads.wmt.transformer_torch:build",
        flax_model="workloads.wmt.transformer_flax:build",
        layout=layout_of(TINY),
        output_parameters=OUTPUT_PARAMETERS,
        eval_outputs=EvalOutputs.ARGMAX,
        decoding=DECODING,
        open_sources=lambda _request: {
            name: sentences[7 if name == "validation" else 3] for name in splits
        },
    )


def with_weights(run: Run) -> Mapping[str, Any]:
    """Start from the same weights in both frameworks."""
    state = random_state(TINY)
    if run.framework == "torch":
        run.model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
        return {}
    return {"params": jax.device_put(flax_params(TINY, state)), "model_state": run.model_state}


@cache
def opened(framework: str, folder: Path) -> Trial:
    """Open a trial that does not train."""
    plan = library_plan(framework, batch_size=2, eval_batch_size=3)
    algorithm = Algorithm(init=with_weights, step=lambda _run, state, _batches: state)
    return open_trial(plan, folder / framework, workload=tiny_workload(), algorithm=algorithm)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for the module's trials."""
    return tmp_path_factory.mktemp("wmt")


def reference(monkeypatch: pytest.MonkeyPatch) -> NDArray[np.int32]:
    """Search plainly, with whole forwards of the torch model."""
    # A 0 that the model writes is read like any token, while the whole forward would mask it. So
    # nothing is masked here, and the inputs are cut where their padding begins.
    monkeypatch.setattr(transformer_torch, "PADDING", -1)
    state, batch = random_state(TINY), rows(TINY, 7, 9, 7)

    def next_log_p(inputs: NDArray[Any]) -> beam_reference.NextLogP:
        def log_p(sequence: tuple[int, ...]) -> Any:
            targets = np.array([[*sequence[1:], 1]], np.int32)
            logits = torch_logits(TINY, state, {"inputs": inputs, "targets": targets}, EVAL)
            return torch.from_numpy(logits[0, -1]).double().log_softmax(-1).tolist()

        return log_p

    examples = [next_log_p(row[row > 0][None]) for row in batch["inputs"]]
    found = np.zeros((7, 7), np.int32)
    for row, sequence in zip(found, beam_reference.search(examples, DECODING), strict=True):
        row[: len(sequence)] = sequence
    return found


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_evaluation_writes_what_a_plain_search_over_whole_forwards_finds(
    framework: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, metric = opened(framework, folder), Written()
    evaluate(trial.backend, metric, trial.sources, 3, DECODING)
    assert list(metric.found) == [7]  # of validation alone
    found = metric.found[7]
    assert found.dtype == np.int32
    assert len({tuple(row) for row in found}) > 3  # it is not one sequence for all
    assert np.array_equal(found, reference(monkeypatch))


def test_what_is_written_does_not_depend_on_the_batch(folder: Path) -> None:
    trial = opened("torch", folder)
    results = []
    for size in (1, 2, 7):
        metric = Written()
        evaluate(trial.backend, metric, trial.sources, size, DECODING)
        results.append(metric.found[7])
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_a_decoding_leaves_the_model_and_other_decodings_alone(folder: Path) -> None:
    backend, batch = opened("torch", folder).backend, rows(TINY, 3, 6, 7)
    alone = search(backend.open_decoding(batch, DECODING), 3, DECODING)
    first, second = (backend.open_decoding(batch, DECODING) for _ in range(2))
    first(np.zeros((3, 3), np.int32), np.full((3, 3), 5, np.int32))
    assert np.array_equal(search(second, 3, DECODING), alone)
