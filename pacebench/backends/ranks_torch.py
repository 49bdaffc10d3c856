"""Several torch ranks as one: a process group, sums, gathers and rank 0's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import distributed


def join_ranks(device: torch.device, n_ranks: int) -> None:
    """Join the process group that the environment names; nothing to join with one rank."""
    if n_ranks > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")


def leave_ranks() -> None:
    """Leave the process group, if one was joined."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def is_alone() -> bool:
    """Whether there is no other rank."""
    return not distributed.is_initialized() or distributed.get_world_size() == 1


def sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Give the sum of a tensor over ranks as a new tensor (the tensor itself with one rank)."""
    if is_alone():
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total


def sum_in_place(tensors: Sequence[torch.Tensor]) -> None:
    """Replace each tensor by its sum over ranks, in one exchange."""
    if is_alone() or not tensors:
        return
    with torch.no_grad():
        flat = torch.cat([t.reshape(-1) for t in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def max_over_ranks(value: float, device: torch.device) -> float:
    """Give the largest value of all ranks."""
    if is_alone():
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.all_reduce(tensor, op=distributed.ReduceOp.MAX)
    return float(tensor.item())


def from_rank_0(value: Any) -> Any:
    """Give rank 0's value to every rank."""
    if is_alone():
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def gather_over_ranks(value: Any) -> list[Any]:
    """Give the values of all ranks in order, on every rank."""
    if is_alone():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def wait_for_ranks() -> None:
    """Return when every rank has come here."""
    if not is_alone():
        distributed.barrier()
