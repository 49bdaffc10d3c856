"""AdamW with linear warmup and cosine decay, by optax.adamw; adamw_torch has the formula."""

import jax.numpy as jnp
import optax

from pacebench.schedules import table


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at the step hint."""
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optax.adamw(
        lambda count: hparams.learning_rate * jnp.asarray(factors)[count],
        b1=1 - hparams.one_minus_beta1,
        weight_decay=hparams.weight_decay,
    )
