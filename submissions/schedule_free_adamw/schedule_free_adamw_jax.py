"""Schedule-Free AdamW in optax; schedule_free_adamw_torch has the formula.

Gradients are taken at y, which optax updates; the backend evaluates the average x in its place.
optax.contrib.schedule_free is used as optax.contrib.schedule_free_adamw uses it, but for the
warmup: there z's first step has the length 0 and later ones that of the step before; here both
parts have γ t / W at step t, as in the authors' library.
"""

import jax.numpy as jnp
import optax
from optax.contrib import schedule_free


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation."""
    n_warmup = max(1, round(hparams.warmup_factor * run.step_hint))

    def rate_at(step):
        return hparams.learning_rate * jnp.minimum(1.0, step / n_warmup)

    adam = optax.chain(
        optax.scale_by_rms(decay=0.999, eps=1e-8, eps_in_sqrt=False, bias_correction=True),
        optax.add_decayed_weights(hparams.weight_decay),
        optax.scale_by_learning_rate(lambda count: rate_at(count + 1)),  # it counts from 0
    )
    return schedule_free(adam, learning_rate=rate_at, b1=1 - hparams.one_minus_beta1)
