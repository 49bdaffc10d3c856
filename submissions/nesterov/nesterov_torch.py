"""SGD with Nesterov momentum (Sutskever et al. 2013), warmup and linear decay, in torch."""

import torch


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = torch.optim.SGD(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        momentum=1 - hparams.one_minus_momentum,
        weight_decay=hparams.weight_decay,
        nesterov=True,
    )
    n_warmup = max(1, round(hparams.warmup_factor * run.step_hint))

    def factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        return max(0.0, (run.step_hint - step) / max(1, run.step_hint - n_warmup))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
