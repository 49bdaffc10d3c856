"""Kronecker-factored preconditioning with a grafted step size, in torch.

What Distributed Shampoo and CASPR share. Per block G of a parameter's gradient, of order ω (a
vector has order 1, a matrix 2), with G_(i) its unfolding along dimension i:

    L_i ← β2 L_i + (1 - β2) G_(i) G_(i)ᵀ                                   i = 1 … ω, every step
    R_i = (L̂_i + (ε + ρ λ_max - min(λ_min, 0)) I)^(-1/q)                    every `period` steps

    u = (β1 m + (1 - β1) g) / (1 - β1^t)    m ← β1 m + (1 - β1) g    Nesterov's; or m / (1 - β1^t)
    a = u / (√(v / (1 - β2^t)) + ε)         v ← β2 v + (1 - β2) g²   or a = u, which grafts SGD
    P = combine(u, R_1 … R_ω)               P ← P ‖a‖ / ‖P‖          per block; a before the first R
    w ← μ w + (1 - μ) (P + λ θ)             θ ← θ - η w

L̂_i is L_i / (1 - β2^t) and λ its eigenvalues. q is 2ω where no other is given. Sources: Shi et al.
2023 (arXiv:2309.06497; blocks, grafting, roots by eigenvalues), Anil et al. 2021 (arXiv:2002.09018;
grafting). Where we differ: ρ λ_max, without which the root of a factor of low rank is float32's
rounding; and blocks of one parameter have equal shape (`pacebench.optimizers.blocks`), so that all
are computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from pacebench.optimizers.blocks import Blocks, cut

EPSILON = 1e-8  # of roots and of the grafted method: the competition's Shampoo (v0.5 logs)
RIDGE = 1e-6  # ρ; about what rounding leaves of a block of 256: 2^-24 · √256 of λ_max
SMALLEST_NORM = 1e-16  # beside ‖P‖, which is 0 where the gradient is


@dataclass(frozen=True, kw_only=True, slots=True)
class Preconditioning:
    """How a parameter is cut, and how and when its preconditioner is made."""

    largest_block: int
    period: int
    """Steps from one computation of the roots to the next; the first comes after as many."""
    combine: Callable[[torch.Tensor, list[torch.Tensor]], torch.Tensor]
    """combine(u, roots): u [n_blocks, *block] preconditioned by roots [n_blocks, b_i, b_i]."""
    inverse_root: int = 0
    """q; 0 stands for 2ω."""
    grafts_adam: bool = True
    """Whether the step size is Adam's; otherwise SGD's."""
    is_nesterov: bool = True


class Kronecker(torch.optim.Optimizer):
    """A Kronecker-factored method; `momentum` is μ, `betas` β1 and β2."""

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        preconditioning: Preconditioning,
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        momentum: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(parameters, {**defaults, "n_steps": 0})
        self._preconditioning = preconditioning

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients; gives what the closure gives."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            group["n_steps"] += 1
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        rule, state, gradient = self._preconditioning, self.state[parameter], parameter.grad
        blocks = cut(parameter.shape, rule.largest_block)
        if not state:
            _open(state, parameter, blocks, group["momentum"])
        looked_ahead, grafted = _filtered(gradient, state, group, rule)
        _take_in(state["factors"], _blocked(gradient, blocks), group["betas"][1])
        if group["n_steps"] % rule.period == 0:
            correction = 1 - group["betas"][1] ** group["n_steps"]
            root = rule.inverse_root or 2 * len(blocks.block)
            state["roots"] = [inverse_root(f / correction, root) for f in state["factors"]]
        change = grafted
        if group["n_steps"] >= rule.period:
            direction = rule.combine(_blocked(looked_ahead, blocks), state["roots"])
            sizes = _norms(_blocked(grafted, blocks)) / (_norms(direction) + SMALLEST_NORM)
            change = _joined(direction * sizes, blocks, parameter.shape)
        change = change.add(parameter, alpha=group["weight_decay"])
        if group["momentum"]:
            change = state["w"].lerp_(change, 1 - group["momentum"])
        parameter.sub_(change, alpha=group["lr"])


def _open(state: dict[str, Any], parameter: torch.Tensor, blocks: Blocks, momentum: float) -> None:
    """Put a parameter's first state in place."""
    state |= {"m": torch.zeros_like(parameter), "v": torch.zeros_like(parameter)}
    if momentum:
        state["w"] = torch.zeros_like(parameter)
    for name in ("factors", "roots"):
        state[name] = [parameter.new_zeros((blocks.n_blocks, b, b)) for b in blocks.block]


def _filtered(
    gradient: Any, state: dict[str, Any], group: dict[str, Any], rule: Preconditioning
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a gradient into the moments; gives u and a."""
    (beta1, beta2), n_steps = group["betas"], group["n_steps"]
    m = state["m"].lerp_(gradient, 1 - beta1)
    u = (m.lerp(gradient, 1 - beta1) if rule.is_nesterov else m) / (1 - beta1**n_steps)
    if not rule.grafts_adam:
        return u, u
    v = state["v"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    return u, u / ((v / (1 - beta2**n_steps)).sqrt() + EPSILON)


def _take_in(factors: list[torch.Tensor], gradient: torch.Tensor, beta2: float) -> None:
    """Take a blocked gradient into its factors."""
    for i, factor in enumerate(factors):
        unfolded = (
            gradient.movedim(i + 1, 1).flatten(2) if gradient.ndim > 2 else gradient[..., None]
        )
        factor.mul_(beta2).add_(unfolded @ unfolded.mT, alpha=1 - beta2)


def inverse_root(factors: torch.Tensor, root: int) -> torch.Tensor:
    """Give the inverse roots of symmetric matrices [n, b, b], all NaN where one is not finite.

    The least eigenvalue of a sum of squares is below 0 by rounding alone; all are raised by it, and
    by ε + ρ λ_max.
    """
    if not torch.isfinite(factors).all():
        return torch.full_like(factors, torch.nan)
    values, vectors = torch.linalg.eigh(factors)
    raised = values - values[:, :1].clamp(max=0.0) + EPSILON + RIDGE * values[:, -1:]
    return (vectors * raised.pow(-1 / root)[:, None, :]) @ vectors.mT


def apply_root(blocked: torch.Tensor, root: torch.Tensor, dimension: int) -> torch.Tensor:
    """Give blocks [n, *block] multiplied by a symmetric matrix each along a dimension from 0."""
    moved = blocked.movedim(dimension + 1, -1)
    product = moved.flatten(1, -2) @ root if moved.ndim > 2 else moved[:, None, :] @ root
    return product.reshape(moved.shape).movedim(-1, dimension + 1)


def _blocked(tensor: Any, blocks: Blocks) -> torch.Tensor:
    """Give a parameter-shaped tensor as [n_blocks, *block]."""
    merged = tensor.reshape(blocks.merged)
    if blocks.padded != blocks.merged:
        ends = [p - m for p, m in zip(blocks.padded, blocks.merged, strict=True)]
        padding = [width for end in reversed(ends) for width in (0, end)]
        merged = torch.nn.functional.pad(merged, padding)
    return merged.reshape(blocks.split).permute(blocks.to_blocks).reshape(-1, *blocks.block)


def _joined(blocked: torch.Tensor, blocks: Blocks, shape: torch.Size) -> torch.Tensor:
    """Give blocks as a tensor of the parameter's shape."""
    split = blocked.reshape(*blocks.counts, *blocks.block).permute(blocks.from_blocks)
    padded = split.reshape(blocks.padded)
    return padded[tuple(slice(size) for size in blocks.merged)].reshape(shape)


def _norms(blocked: torch.Tensor) -> torch.Tensor:
    """Give the norm of each block, [n, 1…]."""
    dimensions = tuple(range(1, blocked.ndim))
    return torch.linalg.vector_norm(blocked, dim=dimensions, keepdim=True)
