"""Dense layers for torch models: large products on a CPU go to oneDNN."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

LARGE = 30_000_000
"""Multiplications from which a product goes to oneDNN: below, its set-up costs more than it gains
(two threads of an AMD EPYC: 0.6 to 0.8 times as fast at 4 million, 1.7 times at 34 million)."""

HAS_ONEDNN = torch.backends.mkldnn.is_available()
"""A fact of how torch was built; asked for here because torch.compile cannot ask in a model."""


class Linear(nn.Linear):
    """torch.nn.Linear; its large products on a CPU go to oneDNN (`linear`)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Give x Wᵀ + b [..., n_out] for x [..., n_in]."""
        return linear(input, self.weight, self.bias)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Give x Wᵀ + b [..., n_out] for x [..., n_in] and W [n_out, n_in].

    torch hands float32 products on a CPU to MKL. The same product, written as a convolution of one
    pixel, goes to oneDNN, which was faster where we measured (docs/performance.md): the sums are
    equal but for rounding, forwards and backwards.
    """
    is_plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    if not is_plain or x.numel() * weight.shape[0] < LARGE or not HAS_ONEDNN:
        return functional.linear(x, weight, bias)
    pixels = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)  # channels last, as they lie
    mapped = functional.conv2d(pixels, weight[:, :, None, None], bias)
    return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], weight.shape[0])
