"""Generalized Adam: Nesterov momentum with or without Adam's denominator, in torch.

    m ← β1 m + (1 - β1) g        u = (β1 m + (1 - β1) g) / (1 - β1^t)        v ← β2 v + (1 - β2) g²
    θ ← θ - η (u / (√(v / (1 - β2^t)) + ε) + λ θ)          as Adam does (Dozat 2016), or
    θ ← θ - η (u + λ θ)                                    without preconditioning

One space then holds both NadamW and Nesterov momentum (as a running average: η is 1 / (1 - β1)
times that of torch.optim.SGD), both with decoupled weight decay. A submission of AlgoPerf's first
competition, described in its results paper (Kasimbeg et al. 2025, arXiv:2502.15015); no library has
it, and the implementation is ours (pacebench.optimizers, where p = ∞ removes the denominator).
The five points are those of the competition's logs (v0.5, submission `generalized_adam`); of its
two dropout rates, equal in four of five, ours is the first. The decay is a cosine that ends at the
stated part of the step hint; the rate stays 0 after it.
"""

import math

import torch

from pacebench.optimizers.nadamw_torch import NadamW
from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at a part of the step hint."""
    optimizer = NadamW(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(hparams.beta1, hparams.beta2),
        weight_decay=hparams.weight_decay,
        power=2.0 if hparams.is_preconditioned else math.inf,
    )
    horizon = max(1, round(hparams.decay_factor * run.step_hint))
    factors = table("cosine", horizon, hparams.warmup_factor / hparams.decay_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
