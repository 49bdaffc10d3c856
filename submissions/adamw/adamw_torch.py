"""AdamW (Loshchilov and Hutter 2019) with linear warmup and cosine decay, in torch."""

import math

import torch


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.AdamW(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
        weight_decay=hparams.weight_decay,
    )
    n_warmup = max(1, round(hparams.warmup_factor * run.step_hint))

    def factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        done = min(1.0, (step - n_warmup) / max(1, run.step_hint - n_warmup))
        return 0.5 * (1 + math.cos(math.pi * done))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
