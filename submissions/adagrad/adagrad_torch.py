"""AdaGrad with a diagonal matrix (Duchi, Hazan and Singer 2011) after a warmup, in torch.

    G_t = G_{t-1} + g_t²
    θ_t = θ_{t-1} - γ_t g_t / (√G_t + ε)

torch.optim.Adagrad stands behind it, which puts the paper's δ (ε = 1e-10) outside of the root as
the paper does (section 1.1, H_t = δI + diag(s_t)). Defaults: around the library's learning rate of
0.01; γ stays constant after the warmup, because G_t makes the steps shrink as 1/√t already.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its warmup."""
    optimizer = torch.optim.Adagrad(
        [p.value for p in parameters.values()], lr=hparams.learning_rate
    )
    factors = table("constant", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
