"""Shampoo (Gupta, Koren and Singer 2018) with momentum after a warmup, in torch.

For a tensor W of k axes with gradient G, one matrix H per axis i, which begins at ε I:

    H^i_t = H^i_{t-1} + G^(i) G^(i)ᵀ             G^(i): G unfolded along axis i
    G̃_t = G_t ×_1 (H^1_t)^{-1/2k} … ×_k (H^k_t)^{-1/2k}
    M_t = μ M_{t-1} + G̃_t
    W_t = W_{t-1} - η_t M_t

This is the paper's algorithm 2 (algorithm 1 for matrices, where the exponent is -1/4) with the
momentum of its experiments, μ = 0.9. It is ours because pytorch_optimizer's Shampoo mixes
preconditioned with raw gradients in its momentum. The paper computes the roots once in 20 to 100
steps; here that is every 20, but every step of the first 20, because roots of one gradient's
statistics would stretch all other directions by ε^{-1/2k}. An axis longer than `max_dimension`
keeps the diagonal of H only, which the paper does for long axes too; 512 is ours, so that a CPU can
make such steps. In roots, eigenvalues are at least ε and at least float32's rounding of the
largest. Weight decay is added to the gradient. Defaults: the schedule is that of `adagrad`, whose
diagonal this replaces; learning rates and ε = 0.01 are ours (on digits, roots of 20 steps before
made the steps diverge with ε ≤ 1e-4 and rates of 0.1). Blocks, grafting and averaged matrices are
what `distributed_shampoo` has.
"""

import torch

from pacebench.schedules import at, table

EPSILON = 1e-2
MOMENTUM = 0.9
ROOT_INTERVAL = 20


def make(parameters, hparams, run):
    """Give the optimizer and its warmup."""
    optimizer = Shampoo(
        [p.value for p in parameters.values()],
        {
            "lr": hparams.learning_rate,
            "weight_decay": hparams.weight_decay,
            "max_dimension": hparams.max_dimension,
        },
    )
    factors = table("constant", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))


class Shampoo(torch.optim.Optimizer):
    """Shampoo with the options `lr`, `weight_decay` and `max_dimension`."""

    @torch.no_grad()
    def step(self):
        """Make a step from the parameters' gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter, group):
        gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
        gradient = gradient.reshape(gradient.shape or (1,))  # a number has one axis
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["momentum"] = torch.zeros_like(gradient)
            state["statistics"] = [
                first_statistics(gradient, size, group["max_dimension"]) for size in gradient.shape
            ]
        for axis, statistics in enumerate(state["statistics"]):
            add_statistics(statistics, gradient, axis)
        if state["step"] < ROOT_INTERVAL or state["step"] % ROOT_INTERVAL == 0:
            exponent = -1 / (2 * gradient.ndim)
            state["roots"] = [power(statistics, exponent) for statistics in state["statistics"]]
        state["step"] += 1
        for axis, root in enumerate(state["roots"]):
            gradient = multiplied(root, gradient, axis)
        state["momentum"].mul_(MOMENTUM).add_(gradient)
        parameter.sub_(state["momentum"].view_as(parameter), alpha=group["lr"])


def first_statistics(like, size, max_dimension):
    """Give ε I [size, size], or its diagonal [size] where that is all that is kept."""
    if size > max_dimension:
        return like.new_full((size,), EPSILON)
    return EPSILON * torch.eye(size, dtype=like.dtype, device=like.device)


def add_statistics(statistics, gradient, axis):
    """Add G^(i) G^(i)ᵀ, or its diagonal, in place."""
    unfolded = gradient.movedim(axis, 0).reshape(len(statistics), -1)
    if statistics.ndim == 2:
        statistics.addmm_(unfolded, unfolded.T)
    else:
        statistics.add_(unfolded.square().sum(1))


def power(statistics, exponent):
    """Give H^exponent for H [n, n], or for a diagonal [n]; NaN where H is not finite."""
    if statistics.ndim == 1:
        return statistics.pow(exponent)
    if not statistics.isfinite().all():  # eigh would raise, and the trial has only diverged
        return torch.full_like(statistics, torch.nan)
    values, vectors = torch.linalg.eigh(statistics)
    floor = (values[-1] * torch.finfo(values.dtype).eps).clamp(min=EPSILON)
    return (vectors * values.maximum(floor).pow(exponent)) @ vectors.T


def multiplied(root, gradient, axis):
    """Give the gradient multiplied along an axis by a matrix [n, n] or a diagonal [n]."""
    if root.ndim == 2:
        return torch.tensordot(root, gradient, dims=([1], [axis])).movedim(0, axis)
    return gradient * root.reshape([-1 if i == axis else 1 for i in range(gradient.ndim)])
