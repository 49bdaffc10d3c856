"""Lion for jax in AlgoPerf's functions, v0.6: `jit` over arrays sharded along one mesh axis."""

import functools

import jax
import jax.numpy as jnp
from algoperf import jax_sharding_utils, spec

from .rule import updated

BATCH_SIZES = {"digits": 64, "mnist": 128, "cifar": 32}


def get_batch_size(workload_name):
    if workload_name in BATCH_SIZES:
        return BATCH_SIZES[workload_name]
    raise ValueError(f"Unsupported workload name: {workload_name}.")


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape_tuple), workload.param_shapes)
    return {"momentum": zeros, "count": jnp.zeros((), jnp.int32)}, None


def _train_step(workload, model_state, optimizer_state, params, batch, rng, rate, dropout_rate):
    def mean_loss(params):
        logits, new_model_state = workload.model_fn(
            params,
            batch,
            model_state,
            spec.ForwardPassMode.TRAIN,
            rng,
            update_batch_norm=True,
            dropout_rate=dropout_rate,
        )
        losses = workload.loss_fn(
            label_batch=batch["targets"],
            logits_batch=logits,
            mask_batch=batch.get("weights"),
        )
        return losses["summed"] / losses["n_valid_examples"], new_model_state

    (loss, model_state), gradients = jax.value_and_grad(mean_loss, has_aux=True)(params)
    left = 1 - optimizer_state["count"] / workload.step_hint
    params, momentum = updated(params, optimizer_state["momentum"], gradients, rate * left)
    state = {"momentum": momentum, "count": optimizer_state["count"] + 1}
    return state, params, model_state, loss


@functools.cache
def _jitted():
    whole = jax_sharding_utils.get_replicate_sharding()
    divided = jax_sharding_utils.get_batch_dim_sharding()
    return jax.jit(
        _train_step,
        static_argnums=(0,),
        donate_argnums=(1, 2, 3),
        in_shardings=(whole, whole, whole, divided, whole, whole, whole),
        out_shardings=(whole, whole, whole, whole),
    )


def update_params(
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    batch,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
    train_state=None,
):
    rate = getattr(hyperparameters, "learning_rate", 3e-4)
    tree, _ = optimizer_state
    tree, params, model_state, loss = _jitted()(
        workload, model_state, tree, current_param_container, batch, rng, rate, 0.0
    )
    if global_step % 10 == 0 and workload.metrics_logger is not None:
        workload.metrics_logger.append_scalar_metrics({"loss": loss}, global_step)
    return (tree, None), params, model_state


def prepare_for_eval(
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
):
    return optimizer_state, current_param_container, model_state


def data_selection(
    workload,
    input_queue,
    optimizer_state,
    current_param_container,
    model_state,
    hyperparameters,
    global_step,
    rng,
):
    return next(input_queue)
