"""A level-2 plugin in jax: init gives a state, and step makes one training step, whole."""

import jax
import jax.numpy as jnp


def init(run):
    """Give the state: a dict with `params` and `model_state`, which are what is evaluated."""

    def update(training, batch, key, rate):
        def mean_loss(params):
            outputs, model_state = run.forward(params, training["model_state"], batch, key=key)
            loss = run.loss(outputs, batch)
            return loss.summed / loss.n_valid_examples, model_state

        params = training["params"]
        gradients, model_state = jax.grad(mean_loss, has_aux=True)(params)
        decayed = jax.tree.map(lambda g, p: g + run.hparams.weight_decay * p, gradients, params)
        momenta = jax.tree.map(lambda m, g: 0.9 * m + g, training["momenta"], decayed)
        params = jax.tree.map(lambda p, m: p - rate * m, params, momenta)
        return {"params": params, "model_state": model_state, "momenta": momenta}

    momenta = jax.tree.map(jnp.zeros_like, run.params)
    training = {"params": run.params, "model_state": run.model_state, "momenta": momenta}
    return {**training, "update": jax.jit(update)}


def step(run, state, batches):
    """Take a batch (or several), give the new state."""
    rate = run.hparams.learning_rate * max(0.0, 1 - run.step / run.step_hint)
    training = {name: state[name] for name in ("params", "model_state", "momenta")}
    return {**state, **state["update"](training, next(batches), run.key(), rate)}
