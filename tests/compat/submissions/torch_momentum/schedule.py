"""A learning-rate schedule, imported by the submission under its name in AlgoPerf's repository."""

import math


def warmup_then_cosine(step_hint, warmup_factor):
    """Give the factor of the learning rate by step."""
    warmup_steps = max(1, int(warmup_factor * step_hint))

    def factor(step):
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = min(1.0, (step - warmup_steps) / max(1, step_hint - warmup_steps))
        return 0.5 * (1 + math.cos(math.pi * done))

    return factor
