"""NAdam (Dozat 2016) with decoupled weight decay, linear warmup and cosine decay, in torch.

    μ_t = β1 (1 - 0.96^{t/250} / 2)
    m_t, v_t as in Adam                          v̂_t = v_t / (1 - β2^t)
    m̄_t = μ_{t+1} m_t / (1 - Π_{i≤t+1} μ_i) + (1 - μ_t) g_t / (1 - Π_{i≤t} μ_i)
    θ_t = (1 - α_t λ) θ_{t-1} - α_t m̄_t / (√v̂_t + ε)

torch.optim.NAdam stands behind it, with the paper's schedule of μ (section 3.2.2) and the decay of
Loshchilov and Hutter (2019). AlgoPerf's NadamW, which has no such schedule, is `nadamw_baseline`.
Defaults: those of `adamw`.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.NAdam(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
        weight_decay=hparams.weight_decay,
        decoupled_weight_decay=True,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
