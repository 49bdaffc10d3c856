"""AdEMAMix (Pagliardini, Ablin and Grangier 2024) with linear warmup and cosine decay, in torch.

    m1_t = β1 m1_{t-1} + (1 - β1) g_t            m̂1_t = m1_t / (1 - β1^t)
    m2_t = β3(t) m2_{t-1} + (1 - β3(t)) g_t
    v_t = β2 v_{t-1} + (1 - β2) g_t²             v̂_t = v_t / (1 - β2^t)
    θ_t = θ_{t-1} - η_t ((m̂1_t + α(t) m2_t) / (√v̂_t + ε) + λ θ_{t-1})
    α(t) = min(t α / T, α)
    β3(t) = min(exp(ln β1 ln β3 / ((1 - t/T) ln β3 + (t/T) ln β1)), β3)

pytorch_optimizer's AdEMAMix stands behind it; it takes the decay before the step. T is the step
hint, as the paper's T is all its steps. Defaults: β2 = 0.999, β3 = 0.9999 and α of 2 to 10 are the
paper's (section 3 and its figure 5); the rest is that of `adamw`.
"""

from pytorch_optimizer import AdEMAMix
from torch.optim.lr_scheduler import LambdaLR

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = AdEMAMix(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999, 0.9999),
        alpha=hparams.alpha,
        t_alpha_beta3=run.step_hint,
        weight_decay=hparams.weight_decay,
        weight_decouple=True,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, LambdaLR(optimizer, lambda step: at(factors, step))
