"""Lets a torch submission that says "cuda" run where there is no GPU: its tensors are the CPU's.

A submission may name the device outright (one published submission makes its counters so), or
give no thought to machines without one. Only functions that make or move tensors are wrapped, so
that a training step costs what it cost.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

FACTORIES = (
    "arange", "as_tensor", "empty", "empty_like", "eye", "full", "full_like", "linspace", "ones",
    "ones_like", "rand", "rand_like", "randint", "randn", "randn_like", "randperm", "tensor",
    "zeros", "zeros_like",
)  # fmt: skip
NEW_ON_TENSORS = ("new_empty", "new_full", "new_ones", "new_tensor", "new_zeros")


def send_cuda_to_cpu() -> None:
    """Make "cuda" mean the CPU in this process, for good; where there is CUDA, nothing changes."""
    if torch.cuda.is_available():
        return
    for name in FACTORIES:
        setattr(torch, name, _redirected(getattr(torch, name)))
    for name in NEW_ON_TENSORS:
        setattr(torch.Tensor, name, _redirected(getattr(torch.Tensor, name)))
    for owner in (torch.Tensor, torch.nn.Module):
        owner.to = _redirected(owner.to)
        owner.cuda = _itself


def _redirected(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def on_cpu(*args: Any, **kwargs: Any) -> Any:
        args = tuple("cpu" if _is_cuda(value) else value for value in args)
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = "cpu"
        return function(*args, **kwargs)

    return on_cpu


def _is_cuda(value: Any) -> bool:
    if isinstance(value, torch.device):
        return bool(value.type == "cuda")
    return isinstance(value, str) and value.partition(":")[0] == "cuda"


def _itself(value: Any, *_args: Any, **_kwargs: Any) -> Any:
    return value
