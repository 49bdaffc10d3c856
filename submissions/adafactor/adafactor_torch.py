"""Adafactor (Shazeer and Stern 2018) without momentum, linear warmup and cosine decay, in torch.

For a matrix X with gradient G (for vectors V̂ is the average of G² itself):

    β̂2_t = 1 - t^{-0.8}
    R_t = β̂2_t R_{t-1} + (1 - β̂2_t) G_t² 1,      C_t = β̂2_t C_{t-1} + (1 - β̂2_t) 1ᵀ G_t²
    V̂_t = R_t C_t / 1ᵀ R_t,                       U_t = G_t / √V̂_t
    Û_t = U_t / max(1, RMS(U_t) / d)
    X_t = X_{t-1} - max(ε2, RMS(X_{t-1})) ρ_t Û_t

torch.optim.Adafactor stands behind it: d = 1, ε2 = 1e-3. Its ε1 is 1e-15, which is squared where it
bounds V̂ and so stands for the paper's 1e-30; the paper adds it to G² instead. ρ_t is at most 1/√t,
as in the paper (algorithms 4 and 5), and at most the learning rate, around the paper's 0.01; the
warmup and the decay of the latter are those of `adamw`.
"""

import torch

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.Adafactor(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        eps=(1e-15, 1e-3),
        weight_decay=hparams.weight_decay,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
