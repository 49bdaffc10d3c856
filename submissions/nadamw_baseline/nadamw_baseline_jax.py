"""AlgoPerf's baseline: NadamW with linear warmup and cosine decay, in optax.

The update is that of nadamw_baseline_torch, whose docstring has the formula and its sources. Ours
stands in for optax.nadamw because that one corrects the momentum's bias one step ahead.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pacebench.schedules import table

EPSILON = 1e-8  # AlgoPerf v0.5's baselines, as Kingma and Ba 2015


class Moments(NamedTuple):
    """The steps made, and the running averages m and v of g and g²."""

    n_steps: jax.Array
    m: Any
    v: Any


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at the step hint."""
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optax.chain(
        scale_by_nadam(1 - hparams.one_minus_beta1, hparams.beta2),
        optax.add_decayed_weights(hparams.weight_decay),
        optax.scale_by_learning_rate(
            lambda count: hparams.learning_rate * jnp.asarray(factors)[count]
        ),
    )


def scale_by_nadam(beta1, beta2):
    """Give the transformation of g to Nesterov's m over √v, both corrected by t."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return Moments(jnp.zeros([], jnp.int32), zeros, jax.tree.map(jnp.zeros_like, params))

    def update(gradients, state, params=None):  # noqa: ARG001 (optax hands them over)
        n_steps = state.n_steps + 1
        m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, state.m, gradients)
        v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, state.v, gradients)
        corrections = 1 - beta1**n_steps, 1 - beta2**n_steps

        def direction(m, v, g):
            looked_ahead = (beta1 * m + (1 - beta1) * g) / corrections[0]
            return looked_ahead / (jnp.sqrt(v / corrections[1]) + EPSILON)

        return jax.tree.map(direction, m, v, gradients), Moments(n_steps, m, v)

    return optax.GradientTransformation(init, update)
