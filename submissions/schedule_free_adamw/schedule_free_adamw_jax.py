"""Schedule-Free AdamW (Defazio et al. 2024) in optax.

Gradients are taken at y, which optax updates; the backend evaluates the average x in its place.
"""

from optax.contrib import schedule_free_adamw


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation."""
    return schedule_free_adamw(
        learning_rate=hparams.learning_rate,
        warmup_steps=max(1, round(hparams.warmup_factor * run.step_hint)),
        b1=1 - hparams.one_minus_beta1,
        weight_decay=hparams.weight_decay,
    )
