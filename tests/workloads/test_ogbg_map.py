"""Mean average precision as AlgoPerf and as OGB define it, accuracy and loss."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from pacebench.spec import LossValue
from workloads.ogbg.metric import Labelled, average_precision


def measured(logits: Any, labels: Any, n_shards: int = 1, n_parts: int = 1) -> dict[str, float]:
    """Measure graphs with labels 0, 1 or NaN, in shards with a graph of padding at their ends."""
    logits, labels = np.array(logits, np.float32), np.array(labels, np.float32)
    metric, partial = Labelled(), None
    for of_logits, of_labels in zip(
        np.array_split(logits, n_parts), np.array_split(labels, n_parts), strict=True
    ):
        shape = (n_shards, -(-len(of_labels) // n_shards) + 1, labels.shape[1])
        outputs, targets, weights = np.full(shape, 7, np.float32), np.zeros(shape), np.zeros(shape)
        for i, (row, label) in enumerate(zip(of_logits, of_labels, strict=True)):
            place = divmod(i, shape[1] - 1)
            outputs[place] = row
            targets[place], weights[place] = np.nan_to_num(label), ~np.isnan(label)
        with np.errstate(invalid="ignore"):  # an output may be NaN
            losses = (np.logaddexp(0, outputs) - targets * outputs) * weights
        loss = LossValue(summed=0, n_valid_examples=0, per_example=losses)
        update = metric.update(outputs, loss, {"targets": targets, "weights": weights})
        partial = update if partial is None else metric.merge(partial, update)
    return metric.finish(partial, len(labels))


def test_a_worked_example() -> None:
    nan = np.nan
    logits = [[2, -1, 1], [1, -2, 1], [-1, -3, 1], [-2, 3, 1]]
    labels = [[1, 0, 1], [0, nan, nan], [1, 1, 1], [nan, nan, nan]]
    found = measured(logits, labels)
    # Label 0: ranked 1, 0, 1: (1 + 2/3) / 2. Label 1: ranked 0, 1: 1/2. Label 2: ones alone, 1.
    assert found["mean_average_precision"] == pytest.approx((5 / 6 + 1 / 2 + 1) / 3)
    assert found["ogb_average_precision"] == pytest.approx((5 / 6 + 1 / 2) / 2)
    # Hits: graph 0: yes, yes, yes; graph 1: no; graph 2: no, no, yes.
    assert found["accuracy"] == pytest.approx(4 / 7)
    softplus = np.logaddexp(0, [-2, -1, -1, 1, 1, 3, -1])
    assert found["loss"] == pytest.approx(softplus.sum() / 7)


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_is_scikit_learns_ties_included(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 60))
    scores = generator.integers(0, 1 + 3 * seed, n).astype(np.float32)
    labels = generator.integers(0, 2, n).astype(np.int8)
    labels[int(generator.integers(n))] = 1
    wanted = average_precision_score(labels, scores)
    assert average_precision(scores, labels) == pytest.approx(wanted, abs=1e-12)


def algoperf(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """Write down facts_text_graph_ctr.md, section 2, "Metrics", with a graph of padding."""
    logits = np.concatenate([logits, np.zeros((1, logits.shape[1]))])
    mask = np.concatenate([~np.isnan(labels), np.zeros((1, labels.shape[1]), bool)])
    labels = np.concatenate([np.nan_to_num(labels), np.zeros((1, labels.shape[1]))])
    found = np.full(labels.shape[1], np.nan)
    for task in range(labels.shape[1]):
        if np.any(labels[:, task] == 0) and np.any(labels[:, task] == 1):
            kept = mask[:, task]
            probabilities = 1 / (1 + np.exp(-logits[kept, task]))
            found[task] = average_precision_score(labels[kept, task], probabilities)
    return float(np.nanmean(found))


@pytest.mark.parametrize("seed", range(10))
def test_both_averages_are_their_definitions_however_the_graphs_are_dealt_out(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, k = int(generator.integers(3, 40)), 9
    logits = np.round(generator.normal(size=(n, k)), 1).astype(np.float32)
    labels = (generator.random((n, k)) < 0.4).astype(np.float32)
    labels[generator.random((n, k)) < 0.4] = np.nan
    labels[0] = np.nan
    labels[1:, 2] = np.where(np.isnan(labels[1:, 2]), np.nan, 1)
    labels[1, :2] = 1
    found = measured(logits, labels)
    assert found["mean_average_precision"] == pytest.approx(algoperf(logits, labels))
    official = [
        average_precision_score(column[there], score[there])
        for column, score in zip(labels.T, logits.T, strict=True)
        if (there := ~np.isnan(column)).any() and 0 < column[there].sum() < there.sum()
    ]
    assert found["ogb_average_precision"] == pytest.approx(np.mean(official))
    for n_shards, n_parts in ((8, 1), (2, 3), (3, n)):
        assert measured(logits, labels, n_shards, n_parts) == pytest.approx(found, rel=1e-12)


def test_large_logits_are_equal_for_the_target_and_ranked_by_ogb() -> None:
    # In float32 both probabilities are 1: one threshold, of precision 1/2.
    found = measured([[20], [30]], [[0], [1]])
    assert found["mean_average_precision"] == 0.5
    assert found["ogb_average_precision"] == 1.0


def test_nothing_to_rank_and_outputs_of_nan_give_nan_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none = measured([[1], [2]], [[np.nan], [np.nan]])
        broken = measured([[np.nan], [2]], [[0], [1]])
    assert all(np.isnan(value) for value in none.values())
    assert np.isnan(broken["mean_average_precision"]) and np.isnan(broken["loss"])
