"""SGD with heavy-ball momentum (Polyak 1964), warmup and linear decay, in torch.

    v_t = μ v_{t-1} + g_t + λ θ_{t-1}
    θ_t = θ_{t-1} - γ_t v_t

torch.optim.SGD stands behind it. Defaults: a learning rate around 0.1 for a batch of 256, scaled
linearly with the batch, momentum around 0.9 and warmup as Goyal et al. (2017, arXiv:1706.02677,
sections 2.1 and 5.1); the linear decay is that of `nesterov`, their steps belong to ImageNet.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.SGD(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        momentum=1 - hparams.one_minus_momentum,
        weight_decay=hparams.weight_decay,
    )
    factors = table("linear", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
