"""Schedule-Free AdamW (Defazio et al. 2024) in torch, by the authors' library.

The library's optimizer switches between the parameters at which gradients are taken (y) and those
that are evaluated (the average x); the backend asks it to before evaluations.
"""

import schedulefree


def make(parameters, hparams, run):
    """Give the optimizer."""
    return schedulefree.AdamWScheduleFree(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
        weight_decay=hparams.weight_decay,
        warmup_steps=max(1, round(hparams.warmup_factor * run.step_hint)),
    )
