"""AdamW (Loshchilov and Hutter 2019) with linear warmup and cosine decay, in torch."""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.AdamW(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
        weight_decay=hparams.weight_decay,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
