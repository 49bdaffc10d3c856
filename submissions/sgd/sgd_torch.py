"""Stochastic gradient descent (Robbins and Monro 1951), warmup and linear decay, in torch.

    θ_t = θ_{t-1} - γ_t (g_t + λ θ_{t-1})

torch.optim.SGD stands behind it. Defaults: learning rates up to 3 times those of `nesterov`,
because without momentum a step goes 1 / (1 - μ) times less far, about 10; the rest as there.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.SGD(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        weight_decay=hparams.weight_decay,
    )
    factors = table("linear", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
