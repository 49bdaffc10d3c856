"""SGD with Nesterov momentum and linear decay, by optax.sgd; nesterov_torch has the formula."""

import jax.numpy as jnp
import optax

from pacebench.schedules import table


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at the step hint."""
    factors = table("linear", run.step_hint, hparams.warmup_factor)
    return optax.chain(
        optax.add_decayed_weights(hparams.weight_decay),
        optax.sgd(
            lambda count: hparams.learning_rate * jnp.asarray(factors)[count],
            momentum=1 - hparams.one_minus_momentum,
            nesterov=True,
        ),
    )
