"""A level-1 plugin in torch: make gives an optimizer, and the benchmark does the rest."""

import torch


def make(parameters, hparams, run):
    """Give the optimizer, or a pair of it and a schedule that is stepped after every step.

    parameters: name -> (value, kind, is_output) in the model's order; hparams: this trial's point;
    run: step_hint (schedules end there), batch_size, workload, device and more.
    """
    optimizer = torch.optim.SGD(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        momentum=0.9,
        weight_decay=hparams.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=run.step_hint)
    return optimizer, schedule
