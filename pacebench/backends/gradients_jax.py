"""The gradient of a batch's mean loss in jax, whole or part by part, to be compiled with an update.

Letters: B rows of a batch, K parts of it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pacebench.backends.base import Run, check_parts, n_parts_of
from pacebench.spec import Batch


def mean_gradients(
    run: Run, params: Any, model_state: Any, batch: Batch, key: jax.Array
) -> tuple[jax.Array, Any, Any]:
    """Give (loss, gradients, model state): of the mean loss over the batch, after the batch.

    With `accumulation_steps` K the gradients of K parts are summed, and the sum is divided by the
    count of all valid examples: the whole batch's gradient up to rounding, where no part's
    statistics enter the model. Raises SubmissionError if K does not divide the batch.
    """
    n_parts = n_parts_of(run.hparams)
    if n_parts == 1:

        def mean_loss(params: Any) -> tuple[jax.Array, Any]:
            summed, (n_valid_examples, changed) = _loss_of(run, params, model_state, batch, key)
            return summed / n_valid_examples, changed

        (value, changed), gradients = jax.value_and_grad(mean_loss, has_aux=True)(params)
        return value, gradients, changed
    total, n_valid_examples, gradients, changed = _sums_of_parts(
        run, params, model_state, parts_of(batch, n_parts), key
    )
    gradients = jax.tree.map(lambda g: g / n_valid_examples, gradients)
    return total / n_valid_examples, gradients, changed


def parts_of(batch: Batch, n_parts: int) -> Batch:
    """Give a batch's parts, each every K-th row: arrays [B, ...] become [K, B / K, ...].

    So a device that holds consecutive rows has its share of every part. Raises SubmissionError if
    the parts are not equal.
    """

    def divided(leaf: jax.Array) -> jax.Array:
        check_parts(len(leaf), n_parts)
        return jnp.moveaxis(leaf.reshape(-1, n_parts, *leaf.shape[1:]), 1, 0)

    return jax.tree.map(divided, batch)


def _sums_of_parts(
    run: Run, params: Any, model_state: Any, parts: Batch, key: jax.Array
) -> tuple[jax.Array, jax.Array, Any, Any]:
    """Give summed loss, count of valid examples, summed gradients and the state after all parts."""

    def add(sums: Any, numbered: tuple[jax.Array, Batch]) -> tuple[Any, None]:
        total, n_valid_examples, gradients, before = sums
        number, part = numbered

        def summed_loss(params: Any) -> tuple[jax.Array, Any]:
            return _loss_of(run, params, before, part, jax.random.fold_in(key, number))

        (summed, (count, changed)), of_part = jax.value_and_grad(summed_loss, has_aux=True)(params)
        gradients = jax.tree.map(jnp.add, gradients, of_part)
        return (total + summed, n_valid_examples + count, gradients, changed), None

    n_parts = len(jax.tree.leaves(parts)[0])
    zero = jnp.zeros((), jnp.float32)
    start = (zero, zero, jax.tree.map(jnp.zeros_like, params), model_state)
    sums: tuple[jax.Array, jax.Array, Any, Any]
    sums, _ = jax.lax.scan(add, start, (jnp.arange(n_parts), parts))
    return sums


def _loss_of(
    run: Run, params: Any, model_state: Any, batch: Batch, key: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, Any]]:
    outputs, changed = run.forward(
        params, model_state, batch, key=key, dropout_rate=run.hparams.get("dropout_rate")
    )
    loss = run.loss(outputs, batch, label_smoothing=run.hparams.get("label_smoothing", 0.0))
    return loss.summed, (loss.n_valid_examples, changed)
