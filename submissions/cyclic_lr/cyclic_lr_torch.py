"""NadamW whose learning rate goes through warmup and then one or more cosine cycles, in torch.

After the warmup of W steps the other N - W fall into C cycles of equal length; at the share x of
its cycle a step's factor is (1 + cos πx) / 2, so each cycle starts again from the peak: warm
restarts (Loshchilov and Hutter 2017, arXiv:1608.03983) after a gradual warmup (Goyal et al. 2017,
arXiv:1706.02677). The update is the baseline's NadamW (pacebench.optimizers). The points are those
of the competition's logs (v0.5, submission `cyclic_lr`): the baseline's, with C = 1 or 2; the logs
do not say how its cycles were laid out, so equal lengths and peaks are ours.
"""

import numpy as np
import torch

from pacebench.optimizers.nadamw_torch import NadamW
from pacebench.schedules import at


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, whose last cycle ends at the step hint."""
    optimizer = NadamW(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, hparams.beta2),
        weight_decay=hparams.weight_decay,
    )
    factors = cycles(run.step_hint, hparams.warmup_factor, hparams.cycles)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))


def cycles(n_steps, warmup_factor, n_cycles):
    """Give the factors after 0, 1, … `n_steps` steps, float32; the last one, 0, stands for more."""
    n_warmup = max(1, round(warmup_factor * n_steps))
    made = np.arange(n_steps + 1)
    share = np.clip((made - n_warmup) / max(1, n_steps - n_warmup), 0, 1) * n_cycles % 1.0
    factors = np.where(made < n_warmup, (made + 1) / n_warmup, (1 + np.cos(np.pi * share)) / 2)
    factors[-1] = 0.0
    return factors.astype(np.float32)
