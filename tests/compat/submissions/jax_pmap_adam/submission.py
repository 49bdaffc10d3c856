"""Adam for jax in AlgoPerf's five functions, v0.5: `pmap` over a leading axis of devices."""

import functools

import jax
import jax.numpy as jnp
import jraph  # noqa: F401 (three published submissions import it and use nothing of it)
import optax
from algorithmic_efficiency import spec
from flax import jax_utils
from jax import lax

BATCH_SIZES = {"digits": 64, "mnist": 128, "cifar": 32}


def get_batch_size(workload_name):
    if workload_name in BATCH_SIZES:
        return BATCH_SIZES[workload_name]
    raise ValueError(f"Unsupported workload name: {workload_name}.")


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    zeros = jax.tree_map(lambda shape: jnp.zeros(shape.shape_tuple), workload.param_shapes)
    rate = getattr(hyperparameters, "learning_rate", 1e-3)
    init_fn, update_fn = optax.adam(optax.cosine_decay_schedule(rate, workload.step_hint))
    return jax_utils.replicate(init_fn(zeros)), update_fn


@functools.partial(
    jax.pmap,
    axis_name="batch",
    in_axes=(None, None, 0, 0, 0, 0, 0),
    static_broadcasted_argnums=(0, 1),
    donate_argnums=(2, 3, 4),
)
def pmapped_step(workload, update_fn, model_state, optimizer_state, params, batch, rng):
    def summed_loss(params):
        logits, new_model_state = workload.model_fn(
            params, batch, model_state, spec.ForwardPassMode.TRAIN, rng, update_batch_norm=True
        )
        losses = workload.loss_fn(
            label_batch=batch["targets"],
            logits_batch=logits,
            mask_batch=batch.get("weights"),
            label_smoothing=0.0,
        )
        return losses["summed"], (losses["n_valid_examples"], new_model_state)

    (summed, (n_valid, new_model_state)), gradients = jax.value_and_grad(summed_loss, has_aux=True)(
        params
    )
    summed, n_valid, gradients = lax.psum((summed, n_valid, gradients), axis_name="batch")
    gradients = jax.tree_map(lambda g: g / n_valid, gradients)
    updates, optimizer_state = update_fn(gradients, optimizer_state, params)
    params = optax.apply_updates(params, updates)
    return optimizer_state, params, new_model_state, summed / n_valid


def update_params(
    workload: spec.Workload,
    current_param_container: spec.ParameterContainer,
    current_params_types: spec.ParameterTypeTree,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    batch: dict[str, spec.Tensor],
    loss_type: spec.LossType,
    optimizer_state: spec.OptimizerState,
    eval_results: list[tuple[int, float]],
    global_step: int,
    rng: spec.RandomState,
) -> spec.UpdateReturn:
    tree, update_fn = optimizer_state
    rngs = jax.random.split(rng, jax.local_device_count())
    tree, params, model_state, loss = pmapped_step(
        workload, update_fn, model_state, tree, current_param_container, batch, rngs
    )
    if global_step % 10 == 0 and workload.metrics_logger is not None:
        workload.metrics_logger.append_scalar_metrics({"loss": loss[0]}, global_step)
    return (tree, update_fn), params, model_state


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
