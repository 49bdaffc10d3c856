"""AlgoPerf's `pytorch_utils` as submissions see it: where this process stands among its ranks."""

from __future__ import annotations

import torch
from torch import distributed


def pytorch_setup() -> tuple[bool, int, torch.device, int]:
    """Give (use_ddp, rank, device, n_gpus); with one rank there is no DDP and rank is 0.

    `n_gpus` is the number of ranks under DDP, and otherwise the number of GPUs used (AlgoPerf: of
    GPUs seen), which is never more than one.
    """
    is_ddp = distributed.is_initialized() and distributed.get_world_size() > 1
    rank = distributed.get_rank() if is_ddp else 0
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda", rank) if has_gpu else torch.device("cpu")
    return is_ddp, rank, device, distributed.get_world_size() if is_ddp else int(has_gpu)
