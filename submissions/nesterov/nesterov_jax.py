"""SGD with Nesterov momentum (Sutskever et al. 2013), warmup and linear decay, in optax."""

import optax


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at the step hint."""
    n_warmup = max(1, round(hparams.warmup_factor * run.step_hint))
    rate = hparams.learning_rate
    schedule = optax.join_schedules(
        [
            optax.linear_schedule(rate / n_warmup, rate, n_warmup),
            optax.linear_schedule(rate, 0.0, max(1, run.step_hint - n_warmup)),
        ],
        [n_warmup],
    )
    return optax.chain(
        optax.add_decayed_weights(hparams.weight_decay),
        optax.sgd(schedule, momentum=1 - hparams.one_minus_momentum, nesterov=True),
    )
