"""Lion (Chen et al. 2023) with linear warmup and cosine decay, in torch.

    c_t = β1 m_{t-1} + (1 - β1) g_t
    θ_t = θ_{t-1} - η_t (sign(c_t) + λ θ_{t-1})
    m_t = β2 m_{t-1} + (1 - β2) g_t

pytorch_optimizer's Lion stands behind it. Defaults: β1 = 0.9 and β2 = 0.99 are the paper's
(algorithm 2); learning rates are about those of `adamw` divided by 3, and decays multiplied by 3,
where the paper advises 3 to 10 times (section 5); the schedule is that of `adamw`.
"""

from pytorch_optimizer import Lion
from torch.optim.lr_scheduler import LambdaLR

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = Lion(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.99),
        weight_decay=hparams.weight_decay,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, LambdaLR(optimizer, lambda step: at(factors, step))
