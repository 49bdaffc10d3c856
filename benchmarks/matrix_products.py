"""How long the matrix products of one torch step take by themselves: a floor under the step."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
Call = tuple[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]]
"""An operation, and the sizes and strides of the tensors it was given."""


class _Recorder(TorchDispatchMode):
    """Counts the matrix products that are asked of torch, by operation, sizes and strides."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Call] = Counter()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in _PRODUCTS:
            given = tuple((tuple(a.shape), a.stride()) for a in args if isinstance(a, torch.Tensor))
            self.calls[name, given] += 1
        return func(*args, **(kwargs or {}))


def products_milliseconds(step: Callable[[], None], rounds: int = 5) -> tuple[float, float]:
    """Give milliseconds and GFLOP of the matrix products in `step`, each timed alone.

    Each product is made `rounds` times of random numbers in the same sizes and strides, and its
    median counts as often as the step asks for it. Convolutions and the products inside of fused
    attention are not among them.
    """
    with _Recorder() as recorder:
        step()
    milliseconds = flop = 0.0
    for (name, given), count in recorder.calls.items():
        tensors = [torch.empty_strided(size, stride).normal_() for size, stride in given]
        product = getattr(torch, name)
        product(*tensors)
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            product(*tensors)
            times.append(time.perf_counter() - start)
        milliseconds += count * statistics.median(times) * 1e3
        left, right = given[-2][0], given[-1][0]
        n_pairs = left[0] if len(left) == 3 else 1
        flop += count * 2.0 * n_pairs * left[-2] * left[-1] * right[-1]
    return milliseconds, flop / 1e9
