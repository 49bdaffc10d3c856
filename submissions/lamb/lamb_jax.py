"""LAMB (You et al. 2020) with linear warmup and linear decay, in optax.

For each layer (here: each tensor) x with gradient g:

    m_t = β1 m_{t-1} + (1 - β1) g_t              m̂_t = m_t / (1 - β1^t)
    v_t = β2 v_{t-1} + (1 - β2) g_t²             v̂_t = v_t / (1 - β2^t)
    r_t = m̂_t / (√v̂_t + ε)
    x_t = x_{t-1} - η_t φ(‖x_{t-1}‖) / ‖r_t + λ x_{t-1}‖ · (r_t + λ x_{t-1})

optax.lamb stands behind it: φ(z) = z, and the ratio is 1 where one of the norms is 0, as biases are
at first (algorithm 2). pytorch_optimizer's Lamb is not used: it corrects no bias and bounds ‖x‖.
Defaults: β2 = 0.999, ε = 1e-6, λ around 0.01, linear decay and the learning rate's square-root
scaling from a batch of 512 are the paper's for BERT (section 4.1). Its rate for 512, 6.25e-4, is at
the space's lower end: smaller models in fewer steps want more.
"""

import jax.numpy as jnp
import optax

from pacebench.schedules import table


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at the step hint."""
    factors = table("linear", run.step_hint, hparams.warmup_factor)
    return optax.lamb(
        lambda count: hparams.learning_rate * jnp.asarray(factors)[count],
        b1=1 - hparams.one_minus_beta1,
        weight_decay=hparams.weight_decay,
    )
