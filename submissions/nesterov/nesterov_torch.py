"""SGD with Nesterov momentum, linear warmup and linear decay, in torch.

    g' = g + λ θ        b ← μ b + g'        θ ← θ - η (g' + μ b)

Nesterov's accelerated gradient as Sutskever et al. 2013 (PMLR 28) write it, shifted so that
gradients are taken at θ, by torch.optim.SGD; the decay λ θ is part of the gradient. The ranges are
ours, around the usual 0.1 and 0.9.
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
        nesterov=True,
    )
    factors = table("linear", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
