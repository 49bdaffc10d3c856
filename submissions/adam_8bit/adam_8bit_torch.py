"""Adam with moments in 8 bits (Dettmers et al. 2022), linear warmup and cosine decay, in torch.

The update is that of `adam`. Between steps, m and v are kept as 8-bit indices into a table of 256
numbers (dynamic tree quantization), each block of values scaled by its largest; tensors of fewer
than 4,096 values keep 32 bits.

bitsandbytes' Adam8bit stands behind it, on CPUs and GPUs (the paper's authors began it; its blocks
hold 256 values, the paper's 2,048). Defaults: those of `adam`, as the paper takes 32-bit Adam's.
"""

import torch

from pacebench.schedules import at, table

try:
    from bitsandbytes.optim import Adam8bit
except ModuleNotFoundError as error:
    raise ImportError(
        "adam_8bit needs bitsandbytes, which is not installed: pip install 'pacebench[8bit]'"
    ) from error


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = Adam8bit(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
