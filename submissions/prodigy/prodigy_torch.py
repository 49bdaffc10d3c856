"""Prodigy (Mishchenko and Defazio 2023), which finds its step size, with cosine decay, in torch.

With d_0 = 1e-6 and the sums s_0 = r_0 = 0:

    m_t = β1 m_{t-1} + (1 - β1) d_t g_t          v_t = β2 v_{t-1} + (1 - β2) d_t² g_t²
    r_t = √β2 r_{t-1} + (1 - √β2) γ_t d_t² ⟨g_t, x_0 - x_t⟩
    s_t = √β2 s_{t-1} + (1 - √β2) γ_t d_t² g_t
    d_{t+1} = max(d_t, c r_t / ‖s_t‖_1)
    x_{t+1} = (1 - γ_t d_t λ) x_t - γ_t d_t m_t / (√v_t + d_t ε)

prodigyopt, the authors' library, stands behind it (algorithm 4; the factors 1 - √β2 cancel in r/s
and are left out there). γ_t is a factor that follows a cosine from 1 to 0, without warmup, as the
authors advise; β = (0.9, 0.999), c around 1 and weight decay around 0.01 are the library's.
"""

from prodigyopt import Prodigy
from torch.optim.lr_scheduler import LambdaLR

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = Prodigy([p.value for p in parameters.values()], d_coef=hparams.d_coefficient)
    for group in optimizer.param_groups:  # given to the constructor, it would be printed
        group["weight_decay"] = hparams.weight_decay
    factors = table("cosine", run.step_hint, 0.0)
    return optimizer, LambdaLR(optimizer, lambda step: at(factors, step))
