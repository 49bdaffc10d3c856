"""Adam (Kingma and Ba 2015) with linear warmup and cosine decay, in torch.

    m_t = β1 m_{t-1} + (1 - β1) g_t              m̂_t = m_t / (1 - β1^t)
    v_t = β2 v_{t-1} + (1 - β2) g_t²             v̂_t = v_t / (1 - β2^t)
    θ_t = θ_{t-1} - α_t m̂_t / (√v̂_t + ε)

torch.optim.Adam stands behind it. Defaults: β2 = 0.999 and ε = 1e-8 are the paper's, α and β1 lie
around its 0.001 and 0.9 (algorithm 1); the schedule is that of `adamw`.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.Adam(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
