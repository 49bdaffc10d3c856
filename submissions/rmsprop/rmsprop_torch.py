"""RMSProp (Tieleman and Hinton 2012, lecture 6e) with linear warmup and cosine decay, in torch.

    v_t = α v_{t-1} + (1 - α) g_t²
    θ_t = θ_{t-1} - γ_t g_t / (√v_t + ε)

torch.optim.RMSprop stands behind it (not centred, no momentum, ε = 1e-8). Defaults: α around the
lecture's 0.9, learning rates and schedule of `adamw`.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.RMSprop(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        alpha=1 - hparams.one_minus_alpha,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
