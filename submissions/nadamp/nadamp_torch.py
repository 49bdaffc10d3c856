"""NadamP: NadamW whose denominator is a p-th root instead of a square root, in torch.

    m ← β1 m + (1 - β1) g                   v ← β2 v + (1 - β2) g²
    θ ← θ - η ((β1 m + (1 - β1) g) / (1 - β1^t) / ((v / (1 - β2^t))^(1/p) + ε) + λ θ)

p = 2 is NadamW (Dozat 2016; Loshchilov and Hutter 2019); with p < 2 the step becomes the longer,
the smaller the gradients are. A submission of AlgoPerf's first competition, described in its
results paper (Kasimbeg et al. 2025, arXiv:2502.15015); no library has it, and the implementation is
ours (pacebench.optimizers).
The five points are those of the competition's logs (v0.5, submission `nadamp`), p = 2 or 1.5; its
two dropout rates were equal in four of five, and ours is the first. The decay is a cosine that ends
at the stated part of the step hint; the rate stays 0 after it.
"""

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
        power=hparams.power,
    )
    horizon = max(1, round(hparams.decay_factor * run.step_hint))
    factors = table("cosine", horizon, hparams.warmup_factor / hparams.decay_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
