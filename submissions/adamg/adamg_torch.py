"""AdamG: Adam with a "golden" step size that needs no tuning, in torch.

    v ← β2 v + (1 - β2) g²        r ← β3 r + (1 - β3) s(v),   s(x) = 0.2 x^0.24
    m ← β1 m + (1 - β1) r g       v̂ = v / (1 - β2^t)         m̂ = m / (1 - β1^t)
    θ ← θ - min(η, 1/√t) m̂ / (√v̂ + ε)

Pan et al. 2024, "Towards stability of parameter-free optimization" (arXiv:2405.04376), algorithm 2.
The implementation is pytorch_optimizer's AdamG, whose defaults are the paper's: β = (0.95, 0.999,
0.95), η = 1. η follows warmup and a cosine to the step hint; since it stands under the minimum with
1/√t, it counts in the warmup and at the end. A self-tuning submission: there is no search space.
"""

import pytorch_optimizer
import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = pytorch_optimizer.AdamG([p.value for p in parameters.values()], lr=1.0)
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
