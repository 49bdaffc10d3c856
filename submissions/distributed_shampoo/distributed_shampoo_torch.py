"""Distributed Shampoo with warmup and cosine decay, in torch.

Every block G of a gradient is multiplied along each dimension by an inverse root of the running
average of G_(i) G_(i)ᵀ, exponent -1/(2ω) for order ω (Gupta, Koren and Singer 2018,
arXiv:1802.09568), and takes the length of Adam's or SGD's step (grafting; Anil et al. 2021,
arXiv:2002.09018):

    P = u ×_1 L_1^(-1/(2ω)) … ×_ω L_ω^(-1/(2ω)),        θ ← θ - η (P ‖a‖ / ‖P‖ + λ θ)

Blocks, roots, the filtered gradient u, the grafted step a and momentum are written out in
pacebench.optimizers.kronecker_torch, after Shi et al. 2023 (arXiv:2309.06497). The implementation
is ours: the authors' is not on PyPI. The five points are those of the competition's logs (v0.5,
submission `shampoo_submission`). Where we differ: blocks of 256 instead of 1024 (so that a laptop
can afford them), and roots every 100 steps or every 50th part of the step hint, whichever is less
(100 steps in the competition, whose shortest step hint was 10,666); momentum is a running average,
which the logs do not say.
"""

import torch

from pacebench.optimizers.kronecker_torch import Kronecker, Preconditioning, apply_root
from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at a part of the step hint."""
    optimizer = Kronecker(
        [p.value for p in parameters.values()],
        Preconditioning(
            largest_block=hparams.largest_block,
            period=max(1, min(hparams.precondition_period, run.step_hint // 50)),
            combine=product,
            inverse_root=hparams.inverse_root,
            grafts_adam=hparams.grafted == "adam",
            is_nesterov=hparams.is_nesterov,
        ),
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 1 - hparams.one_minus_beta2),
        weight_decay=hparams.weight_decay,
        momentum=hparams.momentum,
    )
    horizon = max(1, round(hparams.decay_factor * run.step_hint))
    factors = table("cosine", horizon, hparams.warmup_factor / hparams.decay_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))


def product(blocked, roots):
    """Give Shampoo's P: the Kronecker product of the roots applied to u."""
    for dimension, root in enumerate(roots):
        blocked = apply_root(blocked, root, dimension)
    return blocked
