"""AdamW (Loshchilov and Hutter 2019) with linear warmup and cosine decay, in optax."""

import optax


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at the step hint."""
    n_warmup = max(1, round(hparams.warmup_factor * run.step_hint))
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=hparams.learning_rate / n_warmup,
        peak_value=hparams.learning_rate,
        warmup_steps=n_warmup,
        decay_steps=run.step_hint,
    )
    return optax.adamw(
        schedule,
        b1=1 - hparams.one_minus_beta1,
        weight_decay=hparams.weight_decay,
    )
