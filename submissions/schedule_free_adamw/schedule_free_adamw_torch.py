"""Schedule-Free AdamW (Defazio et al. 2024) in torch, by the authors' library.

A level-2 submission, because the parameters that are evaluated (the average x) are not those at
which gradients are taken (y): the optimizer is switched over before and after an evaluation.
"""

import schedulefree


def init(run):
    """Give the optimizer, ready to train."""
    optimizer = schedulefree.AdamWScheduleFree(
        run.params.values(),
        lr=run.hparams.learning_rate,
        betas=(1 - run.hparams.one_minus_beta1, 0.999),
        weight_decay=run.hparams.weight_decay,
        warmup_steps=max(1, round(run.hparams.warmup_factor * run.step_hint)),
    )
    optimizer.train()
    return optimizer


def step(run, optimizer, batches):
    """Make one step at y."""
    optimizer.train()
    batch = next(batches)
    optimizer.zero_grad(set_to_none=True)
    loss = run.loss(run.forward(batch), batch)
    (loss.summed / run.all_reduce(loss.n_valid_examples)).backward()
    for parameter in run.params.values():
        parameter.grad = run.all_reduce(parameter.grad)
    optimizer.step()
    return optimizer


def prepare_eval(run, optimizer):  # noqa: ARG001 (the optimizer holds the parameters)
    """Put the average x in the model's place."""
    optimizer.eval()
    return optimizer
