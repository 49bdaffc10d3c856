"""NadamW as AlgoPerf's baselines have it, and the family around it, in torch.

Symbols: θ parameters, g gradient, t steps from 1, η learning rate, λ weight decay, p power.

    m ← β1 m + (1 - β1) g                    v ← β2 v + (1 - β2) g²
    u = (β1 m + (1 - β1) g) / (1 - β1^t)      v̂ = v / (1 - β2^t)
    θ ← θ - η (u / (v̂^(1/p) + ε) + λ θ)

With p = 2 it is NadamW: Nesterov momentum in Adam (Dozat 2016) with decoupled weight decay
(Loshchilov and Hutter 2019). u is AlgoPerf v0.5's, where both terms have the same correction; in
torch.optim.NAdam and optax.nadamw the momentum's is one step ahead, 1 - β1^(t+1), which matters in
the first 1 / (1 - β1) steps. p = ∞ divides by 1 + ε: Nesterov momentum alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

EPSILON = 1e-8  # AlgoPerf v0.5's baselines, as Kingma and Ba 2015


class NadamW(torch.optim.Optimizer):
    """NadamW, by lists of tensors."""

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        power: float = 2.0,
    ) -> None:
        if not (lr >= 0 and power > 0 and weight_decay >= 0 and all(0 <= b < 1 for b in betas)):
            raise ValueError(
                f"lr={lr}, betas={betas}, weight_decay={weight_decay}, power={power}: the betas "
                "must lie in [0, 1), the power above 0 and the others at or above 0"
            )
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "power": power}
        super().__init__(parameters, {**defaults, "n_steps": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients; gives what the closure gives."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            group["n_steps"] += 1
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                update(parameters, moments_of(self, parameters), group)
        return loss


def moments_of(
    optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Give the two moments of parameters from an optimizer's state; at first they are 0."""
    for p in parameters:
        state = optimizer.state[p]
        if "m" not in state:
            state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
    states = [optimizer.state[p] for p in parameters]
    return [s["m"] for s in states], [s["v"] for s in states]


def update(
    parameters: list[torch.Tensor],
    moments: tuple[list[torch.Tensor], list[torch.Tensor]],
    group: dict[str, Any],
) -> None:
    """Make a step of one group, in place."""
    gradients = [p.grad for p in parameters]
    looked_ahead, denominators = directions(gradients, moments, group)
    torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
    torch._foreach_addcdiv_(parameters, looked_ahead, denominators, value=-group["lr"])


def directions(
    gradients: list[Any],
    moments: tuple[list[torch.Tensor], list[torch.Tensor]],
    group: dict[str, Any],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Take the gradients into the moments; gives u and v̂^(1/p) + ε of each."""
    (beta1, beta2), n_steps = group["betas"], group["n_steps"]
    m, v = moments
    torch._foreach_lerp_(m, gradients, 1 - beta1)
    torch._foreach_mul_(v, beta2)
    torch._foreach_addcmul_(v, gradients, gradients, value=1 - beta2)
    correction = 1 - beta1**n_steps
    looked_ahead = torch._foreach_mul(m, beta1 / correction)
    torch._foreach_add_(looked_ahead, gradients, alpha=(1 - beta1) / correction)
    denominators = torch._foreach_div(v, 1 - beta2**n_steps)
    if group["power"] == 2:
        torch._foreach_sqrt_(denominators)
    else:
        torch._foreach_pow_(denominators, 1 / group["power"])
    torch._foreach_add_(denominators, EPSILON)
    return looked_ahead, denominators
