"""Schedule-Free AdamW (Defazio et al. 2024) in optax.

A level-2 submission, because the parameters that are evaluated (the average x) are not those at
which gradients are taken (y), and optax keeps y.
"""

import jax
import optax
from optax.contrib import schedule_free_adamw, schedule_free_eval_params


def _optimizer(run):
    return schedule_free_adamw(
        learning_rate=run.hparams.learning_rate,
        warmup_steps=max(1, round(run.hparams.warmup_factor * run.step_hint)),
        b1=1 - run.hparams.one_minus_beta1,
        weight_decay=run.hparams.weight_decay,
    )


def init(run):
    """Give the state and the compiled update."""
    optimizer = _optimizer(run)

    def update(state, batch, key):
        def mean_loss(y):
            outputs, model_state = run.forward(y, state["model_state"], batch, key=key)
            loss = run.loss(outputs, batch)
            return loss.summed / loss.n_valid_examples, model_state

        gradients, model_state = jax.grad(mean_loss, has_aux=True)(state["y"])
        updates, inner = optimizer.update(gradients, state["inner"], state["y"])
        y = optax.apply_updates(state["y"], updates)
        return {"y": y, "inner": inner, "model_state": model_state}

    training = {
        "y": run.params,
        "inner": jax.jit(optimizer.init)(run.params),
        "model_state": run.model_state,
    }
    return {
        "params": run.params,
        "model_state": run.model_state,
        "training": jax.tree.map(lambda a: a.copy(), training),
        "functions": (jax.jit(update, donate_argnums=0), jax.jit(schedule_free_eval_params)),
    }


def step(run, state, batches):
    """Make one step at y."""
    update, _ = state["functions"]
    training = update(state["training"], next(batches), run.key())
    return {**state, "training": training, "model_state": training["model_state"]}


def prepare_eval(run, state):  # noqa: ARG001 (the state holds all)
    """Put the average x in the model's place."""
    _, average = state["functions"]
    return {**state, "params": average(state["training"]["inner"], state["training"]["y"])}
