"""SGD with Nesterov momentum (Sutskever et al. 2013), warmup and linear decay, in torch."""

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
