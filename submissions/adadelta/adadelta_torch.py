"""Adadelta (Zeiler 2012), which has no learning rate, in torch.

    E[g²]_t = ρ E[g²]_{t-1} + (1 - ρ) g_t²
    Δx_t = -√(E[Δx²]_{t-1} + ε) / √(E[g²]_t + ε) · g_t
    E[Δx²]_t = ρ E[Δx²]_{t-1} + (1 - ρ) Δx_t²
    x_t = x_{t-1} + Δx_t

torch.optim.Adadelta with a learning rate of 1 stands behind it. Defaults: ρ and ε around the
paper's 0.95 and 1e-6 (section 4.1), within what its table 2 tries (0.9 to 0.99, 1e-8 to 1e-2).
"""

import torch


def make(parameters, hparams, run):  # noqa: ARG001 (there is no schedule)
    """Give the optimizer."""
    return torch.optim.Adadelta(
        [p.value for p in parameters.values()],
        lr=1.0,
        rho=1 - hparams.one_minus_rho,
        eps=hparams.epsilon,
    )
