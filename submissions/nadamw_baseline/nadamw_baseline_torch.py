"""AlgoPerf's baseline: NadamW with linear warmup and cosine decay, in torch.

    m ← β1 m + (1 - β1) g                   v ← β2 v + (1 - β2) g²
    θ ← θ - η ((β1 m + (1 - β1) g) / (1 - β1^t) / (√(v / (1 - β2^t)) + ε) + λ θ)

Nesterov momentum in Adam (Dozat 2016) with decoupled weight decay (Loshchilov and Hutter 2019,
arXiv:1711.05101); see pacebench.optimizers for how a library's NAdam differs. The five points are
those of the competition's logs (v0.5, external tuning, submission `baseline`), where label
smoothing and dropout were applied by the harness, as here. Where we differ: the first factor of the
warmup is 1/W, not 0, so that the first step is not lost.
"""

import torch

from pacebench.optimizers.nadamw_torch import NadamW
from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = NadamW(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, hparams.beta2),
        weight_decay=hparams.weight_decay,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
