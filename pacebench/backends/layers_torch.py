"""Layers for torch models whose behaviour is chosen at every call by a `Mode`.

Letters: B batch, T positions, C channels. Initialisers follow flax's, since AlgoPerf's targets were
set there.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed
from torch import nn
from torch.nn import functional

from pacebench.backends.linear_torch import Linear
from pacebench.spec import Mode

TRUNCATED_STD = 0.87962566103423978
"""Deviation of a unit normal cut at ±2; flax and jax divide by it (jax.nn.initializers)."""


class BatchNorm(nn.Module):
    """Batch norm over all axes but 1, with statistics of the global batch.

    `mode.normalize_with` and `mode.update_running` are independent. The running variance takes in
    the biased variance, as flax does. Over several ranks count, sum and squares are all-reduced,
    differentiably; untouched buffers stay bit-identical.
    """

    def __init__(self, n_features: int, *, epsilon: float = 1e-5, decay: float = 0.9) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.epsilon = epsilon
        self.decay = decay

    def forward(self, x_BC: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Normalise; shape [B, C, …] in and out."""
        uses_batch = mode.normalize_with == "batch"
        if not uses_batch and not mode.update_running:
            return self._normalize(x_BC, self.running_mean, self.running_var)
        if uses_batch and not _is_distributed():
            return self._normalize_locally(x_BC, mode.update_running)
        mean_C, var_C = _global_moments(x_BC)
        if mode.update_running:
            self._update(mean_C.detach(), var_C.detach())
        if uses_batch:
            shape = (1, -1) + (1,) * (x_BC.dim() - 2)
            scale_C = self.weight * torch.rsqrt(var_C + self.epsilon)
            return (x_BC - mean_C.view(shape)) * scale_C.view(shape) + self.bias.view(shape)
        return self._normalize(x_BC, self.running_mean, self.running_var)

    def _normalize(
        self, x_BC: torch.Tensor, mean_C: torch.Tensor, var_C: torch.Tensor
    ) -> torch.Tensor:
        return functional.batch_norm(
            x_BC, mean_C, var_C, self.weight, self.bias, training=False, eps=self.epsilon
        )

    def _normalize_locally(self, x_BC: torch.Tensor, is_updating: bool) -> torch.Tensor:
        """One rank: torch's fused kernel, which also hands out the batch's moments."""
        mean_C = torch.zeros_like(self.running_mean)
        unbiased_C = torch.zeros_like(self.running_var)
        y_BC = functional.batch_norm(
            x_BC,
            mean_C,
            unbiased_C,
            self.weight,
            self.bias,
            training=True,
            momentum=1.0,
            eps=self.epsilon,
        )
        if is_updating:
            n = x_BC.numel() // x_BC.shape[1]
            self._update(mean_C, unbiased_C * ((n - 1) / n))
        return y_BC

    @torch.no_grad()
    def _update(self, mean_C: torch.Tensor, var_C: torch.Tensor) -> None:
        self.running_mean.mul_(self.decay).add_(mean_C, alpha=1 - self.decay)
        self.running_var.mul_(self.decay).add_(var_C, alpha=1 - self.decay)


class MaskedBatchNorm(nn.Module):
    """Batch norm over positions that are not padding, with statistics of the global batch.

    `weight` is the scale's distance from 1. As in `BatchNorm`, the two switches of a mode are
    independent and the running variance takes in the biased variance. A batch that is all padding
    counts as one position. Outputs at padding are 0.
    """

    def __init__(self, n_features: int, *, epsilon: float = 1e-3, decay: float = 0.999) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.epsilon = epsilon
        self.decay = decay

    def forward(self, x_BTC: torch.Tensor, paddings_BT: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Normalise; shape [B, T, C] in and out, `paddings_BT` is 1 at padding."""
        mask_BT1 = 1 - paddings_BT[..., None]
        uses_batch = mode.normalize_with == "batch"
        mean_C, var_C = self.running_mean, self.running_var
        if uses_batch or mode.update_running:
            batch_mean_C, batch_var_C = _masked_moments(x_BTC, mask_BT1)
            if mode.update_running:
                with torch.no_grad():
                    self.running_mean.lerp_(batch_mean_C, 1 - self.decay)
                    self.running_var.lerp_(batch_var_C, 1 - self.decay)
            if uses_batch:
                mean_C, var_C = batch_mean_C, batch_var_C
        scale_C = (1 + self.weight) * torch.rsqrt(var_C + self.epsilon)
        return ((x_BTC - mean_C) * scale_C + self.bias) * mask_BT1


class Dropout(nn.Module):
    """Dropout whose rate is `mode.dropout_rate`, or `default_rate` where that is None."""

    def __init__(self, default_rate: float) -> None:
        super().__init__()
        self.default_rate = default_rate

    def forward(self, x: torch.Tensor, mode: Mode) -> torch.Tensor:
        """Drop and rescale in training; rate 0 draws nothing."""
        rate = self.default_rate if mode.dropout_rate is None else mode.dropout_rate
        if not mode.train or rate == 0.0:
            return x
        return functional.dropout(x, rate, training=True)


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as flax's "SAME": the odd pixel goes last.

    Its weight starts as flax's (lecun normal). Output sides are ceil(side / stride).
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(n_in, n_out, kernel_size, stride, bias=False)
        lecun_normal_(self.weight, n_in * kernel_size**2)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Convolve [B, C, H, W]."""
        size, stride = self.kernel_size[0], self.stride[0]
        sides = x_BCHW.shape[2:]
        totals = [max(0, (-(-n // stride) - 1) * stride + size - n) for n in sides]
        before = [total // 2 for total in totals]
        if before[0] * 2 == totals[0] and before[1] * 2 == totals[1]:
            return functional.conv2d(x_BCHW, self.weight, None, stride, before)
        top, left = before
        padded = functional.pad(x_BCHW, (left, totals[1] - left, top, totals[0] - top))
        return functional.conv2d(padded, self.weight, None, stride)


@torch.no_grad()
def lecun_normal_(weight: torch.Tensor, fan_in: int) -> None:
    """Fill with a normal of variance 1/fan_in, cut at two deviations (flax's default kernel)."""
    std = math.sqrt(1.0 / fan_in) / TRUNCATED_STD
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def dense(n_in: int, n_out: int) -> nn.Linear:
    """Give a linear layer initialised as flax's Dense: lecun normal weights, zero bias."""
    layer = Linear(n_in, n_out)
    lecun_normal_(layer.weight, n_in)
    nn.init.zeros_(layer.bias)
    return layer


def uniform_of_rows(n_rows: int, n_per_row: int, device: torch.device) -> torch.Tensor:
    """Give uniform numbers in [0, 1), [n_rows, n_per_row]: this rank's rows of a draw for all.

    Rank 0 draws for the global batch, of which every rank holds `n_rows` examples, so the numbers
    of an example do not depend on the number of ranks.
    """
    if not _is_distributed():
        return torch.rand(n_rows, n_per_row, device=device)
    n_ranks, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    numbers = torch.rand(n_rows * n_ranks, n_per_row, device=device)
    torch.distributed.broadcast(numbers, src=0)
    return numbers[rank * n_rows : (rank + 1) * n_rows]


class _SumOverRanks(torch.autograd.Function):
    """The sum over ranks; every rank's gradient adds to the gradient of every rank's input."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004 (autograd's signature)
        """Add up a copy."""
        total = x.detach().clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:  # noqa: ARG004 (the same)
        """Add up the gradients of all ranks."""
        total = gradients[0].clone()
        torch.distributed.all_reduce(total)
        return total


def _is_distributed() -> bool:
    return torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1


def _global_moments(x_BC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance per channel over the global batch, differentiable."""
    axes = [axis for axis in range(x_BC.dim()) if axis != 1]
    count = x_BC.new_tensor([x_BC.numel() // x_BC.shape[1]])
    sums = torch.cat([x_BC.sum(axes), (x_BC * x_BC).sum(axes), count])
    if _is_distributed():
        sums = _SumOverRanks.apply(sums)
    n_channels = x_BC.shape[1]
    mean_C = sums[:n_channels] / sums[-1]
    square_C = sums[n_channels:-1] / sums[-1]
    return mean_C, (square_C - mean_C * mean_C).clamp_min(0.0)


def _masked_moments(
    x_BTC: torch.Tensor, mask_BT1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance over the global batch's positions with mask 1, differentiable."""
    sums = torch.cat([(x_BTC * mask_BT1).sum((0, 1)), mask_BT1.sum().view(1)])
    if _is_distributed():
        sums = _SumOverRanks.apply(sums)
    count = sums[-1].clamp_min(1.0)
    mean_C = sums[:-1] / count
    squares_C = ((x_BTC - mean_C).square() * mask_BT1).sum((0, 1))
    if _is_distributed():
        squares_C = _SumOverRanks.apply(squares_C)
    return mean_C, squares_C / count
