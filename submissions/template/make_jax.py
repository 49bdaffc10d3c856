"""A level-1 plugin in jax: make gives an optax transformation, and the benchmark does the rest."""

import optax


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation.

    parameters: name -> (value, kind, is_output) in the model's order; hparams: this trial's point;
    run: step_hint (schedules end there), batch_size, workload, device and more.
    """
    return optax.chain(
        optax.add_decayed_weights(hparams.weight_decay),
        optax.sgd(optax.linear_schedule(hparams.learning_rate, 0.0, run.step_hint), momentum=0.9),
    )
