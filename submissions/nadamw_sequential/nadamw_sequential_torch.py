"""NadamW sequential: several settings of NadamW, one after another in one trial, in torch.

Self-tuning without cleverness: a round is a whole training of one step hint with the baseline's
NadamW, warmup and cosine decay (pacebench.optimizers), from the initial parameters and with
moments at 0; after the last round it says that it has finished. The trial's time is the time of
the first round that reaches the target and of those before it: under AlgoPerf v0.5's rules the
budget of a self-tuning trial is three step hints, so that three rounds fit; under v0.6's one and a
half. The idea is the competition's submission of this name (v0.5, self-tuning), whose settings are
not in the logs that we have: ours are three of the baseline's five points, the first of which is
the one that our nadamw_baseline uses under self-tuning.

A level-2 submission: the state of a round cannot be reset from inside an optimizer.
"""

from pacebench.optimizers.nadamw_torch import NadamW
from pacebench.schedules import at, table
from pacebench.spec import Finished


def init(run):
    """Give the optimizer, the model's initial state and the schedules of the rounds."""
    optimizer = NadamW(run.params.values(), lr=0.0, betas=(0.9, 0.999), weight_decay=0.0)
    initial = {name: value.clone() for name, value in run.model.state_dict().items()}
    schedules = [table("cosine", run.step_hint, w).tolist() for w in run.hparams.warmup_factor]
    return {"optimizer": optimizer, "initial": initial, "schedules": schedules}


def step(run, state, batches):
    """Make a step of the round; raises Finished after the last one."""
    number, made = divmod(run.step - 1, run.step_hint)
    if number == len(state["schedules"]):
        raise Finished
    optimizer = state["optimizer"]
    if made == 0 and number > 0:
        run.model.load_state_dict(state["initial"])
        optimizer.state.clear()
        optimizer.param_groups[0]["n_steps"] = 0
    set_point(optimizer.param_groups[0], run.hparams, number, at(state["schedules"][number], made))
    optimizer.zero_grad(set_to_none=True)
    batch = next(batches)
    outputs = run.forward(batch, dropout_rate=run.hparams.dropout_rate[number])
    loss = run.loss(outputs, batch, label_smoothing=run.hparams.label_smoothing[number])
    n_valid_examples = run.all_reduce(loss.n_valid_examples)
    loss.summed.backward(1.0 / n_valid_examples)
    for parameter in run.params.values():
        if parameter.grad is not None:
            parameter.grad = run.all_reduce(parameter.grad)
    optimizer.step()
    return state


def set_point(group, hparams, number, factor):
    """Give a group the hyperparameters of a round, and the learning rate of a step of it."""
    group["lr"] = hparams.learning_rate[number] * factor
    group["betas"] = (1 - hparams.one_minus_beta1[number], hparams.beta2[number])
    group["weight_decay"] = hparams.weight_decay[number]
