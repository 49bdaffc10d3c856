"""A level-2 plugin in torch: init gives a state, and step makes one training step, whole."""

import torch


def init(run):
    """Give the state: tensors, or what has a state_dict, in dicts and lists, can be resumed."""
    return {name: torch.zeros_like(value) for name, value in run.params.items()}


def step(run, momenta, batches):
    """Take a batch (or several), change run.params in place, give the new state."""
    batch = next(batches)
    loss = run.loss(run.forward(batch), batch)
    mean_loss = loss.summed / run.all_reduce(loss.n_valid_examples)
    gradients = torch.autograd.grad(mean_loss, list(run.params.values()))
    rate = run.hparams.learning_rate * max(0.0, 1 - run.step / run.step_hint)
    with torch.no_grad():
        for (name, value), gradient in zip(run.params.items(), gradients, strict=True):
            summed = run.all_reduce(gradient) + run.hparams.weight_decay * value
            momenta[name].mul_(0.9).add_(summed)
            value.sub_(rate * momenta[name])
    return momenta
