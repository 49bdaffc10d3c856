"""AdamW with linear warmup and cosine decay, in torch.

    m ← β1 m + (1 - β1) g                   v ← β2 v + (1 - β2) g²
    θ ← θ - η (m / (1 - β1^t) / (√(v / (1 - β2^t)) + ε) + λ θ)

Adam (Kingma and Ba 2015, arXiv:1412.6980) with decoupled weight decay (Loshchilov and Hutter 2019,
arXiv:1711.05101), by torch.optim.AdamW. β2 = 0.999 and ε = 1e-8 are Adam's; the ranges are ours,
around the usual 1e-3 and 0.9.
"""

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
