"""Amos: an Adam-like step whose size and weight decay fall by themselves, in torch.

Tian and Parikh 2022 (arXiv:2210.11693), algorithm 1. M(·)² is the mean of squares over a weight's
inputs (one number per row; one for a whole vector), ξ the global learning rate, η̃ the size that
the parameter's entries are expected to have in the end:

    v ← β v + (1 - β) M(g)²    v̂ = v / (1 - β^t)         γ = c ξ² M(g)² / v̂
    c = (1 + ¼ √ξ b)^(-1/2)     d = (1 + ¼ √(ξ η̃) b)^(-1)   b ← b + γ (1 + b)   (c, d: before it)
    δ = d (ξ η̃ g / √v̂ + ½ γ θ)     m ← μ m + (1 - μ) δ     θ ← θ - m

The implementation is ours: pytorch_optimizer's Amos takes one mean over the whole tensor, and η̃
from the shape alone. η̃ follows the paper's reasoning for layers whose inputs and outputs have unit
variance: √(1 / inputs) for weights, √(1 / width) for embeddings, ½ for biases, 1 for scales of
norms. ξ is warmed up and then constant, as the paper's is, which proposes 1/√N for N batches an
epoch. The competition's points (v0.5, submission `amos`) tuned β, β1 (here μ), extra L2 and a
convergence ratio of its own variant; β, μ and the warmups here are its values, ξ is drawn instead.
"""

import math

import torch

from pacebench.schedules import at, table
from pacebench.spec import ParameterKind

SMALLEST = 1e-30  # added to v̂: a parameter without gradients stays where it is
NORM_SCALES = (ParameterKind.BATCH_NORM_SCALE, ParameterKind.LAYER_NORM_SCALE)


def make(parameters, hparams, run):
    """Give the optimizer and its warmup."""
    optimizer = Amos(
        [{"params": [p.value], "scale": expected_size(p)} for p in parameters.values()],
        lr=hparams.learning_rate,
        beta=hparams.beta,
        momentum=hparams.momentum,
    )
    factors = table("constant", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))


def expected_size(parameter):
    """Give η̃, by a parameter's kind and shape; torch's weights are [outputs, inputs…]."""
    if parameter.kind in NORM_SCALES:
        return 1.0
    if parameter.value.ndim < 2:
        return 0.5
    return math.sqrt(1 / math.prod(parameter.value.shape[1:]))


class Amos(torch.optim.Optimizer):
    """Amos; every group holds one parameter and its `scale`, η̃."""

    def __init__(self, groups, *, lr, beta, momentum):
        super().__init__(groups, {"lr": lr, "beta": beta, "momentum": momentum, "n_steps": 0})

    @torch.no_grad()
    def step(self, closure=None):
        """Change the parameters by their gradients; gives what the closure gives."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            (parameter,) = group["params"]
            if parameter.grad is not None:
                group["n_steps"] += 1
                update(parameter, self.state[parameter], group)
        return loss


def update(parameter, state, group):
    """Make a step of one parameter, in place."""
    gradient, rate, scale = parameter.grad, group["lr"], group["scale"]
    squares = mean_of_squares(gradient)
    if not state:
        state |= {"v": torch.zeros_like(squares), "b": torch.zeros_like(squares)}
        state["m"] = torch.zeros_like(parameter)
    v, b = state["v"], state["b"]
    v.lerp_(squares, 1 - group["beta"])
    corrected = v / (1 - group["beta"] ** group["n_steps"]) + SMALLEST
    c = (1 + 0.25 * math.sqrt(rate) * b).rsqrt()
    d = (1 + 0.25 * math.sqrt(rate * scale) * b).reciprocal()
    gamma = c * rate**2 * squares / corrected
    change = d * (rate * scale * gradient * corrected.rsqrt() + 0.5 * gamma * parameter)
    b.add_(gamma * (1 + b))
    parameter.sub_(state["m"].lerp_(change, 1 - group["momentum"]))


def mean_of_squares(gradient):
    """Give M(g)², [rows, 1…] for a weight and [1] for a vector."""
    axes = tuple(range(1, gradient.ndim)) if gradient.ndim > 1 else ()
    return gradient.square().mean(axes or None, keepdim=True)
