"""Nesterov momentum for torch in AlgoPerf's five functions (v0.6), with the optional ones."""

from typing import Any

import torch
from algoperf import spec
from algoperf.pytorch_utils import pytorch_setup
from submissions.external_tuning.torch_momentum.schedule import warmup_then_cosine
from torch.distributed.nn import functional as distributed

USE_PYTORCH_DDP = pytorch_setup()[0]
BATCH_SIZES = {"mnist": 64, "cifar": 32}
DEFAULTS = {"learning_rate": 0.1, "one_minus_beta1": 0.1, "warmup_factor": 0.05}


def get_batch_size(workload_name):
    if workload_name not in BATCH_SIZES:
        raise ValueError(f"Unsupported workload name: {workload_name}.")
    return BATCH_SIZES[workload_name]


def _values(hyperparameters):
    if hyperparameters is None:
        return DEFAULTS
    return hyperparameters._asdict()


def init_optimizer_state(
    workload: spec.Workload,
    model_params: spec.ParameterContainer,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    rng: spec.RandomState,
) -> spec.OptimizerState:
    values = _values(hyperparameters)
    optimizer = torch.optim.SGD(
        model_params.parameters(),
        lr=values["learning_rate"],
        momentum=1 - values["one_minus_beta1"],
        nesterov=True,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_then_cosine(workload.step_hint, values["warmup_factor"])
    )
    return {
        "optimizer": optimizer,
        "scheduler": scheduler,
        "hyperparameters": hyperparameters,
        "seen": torch.zeros(()),
        "n_evaluations": 0,
    }


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
    train_state: dict[str, Any] | None = None,
) -> spec.UpdateReturn:
    assert train_state["is_time_remaining"] in (True, False)
    assert rng.shape == (2,)
    assert len(eval_results) == optimizer_state["n_evaluations"]
    model = current_param_container
    optimizer = optimizer_state["optimizer"]
    optimizer.zero_grad()
    logits, new_model_state = workload.model_fn(
        params=model,
        augmented_and_preprocessed_input_batch=batch,
        model_state=model_state,
        mode=spec.ForwardPassMode.TRAIN,
        rng=rng,
        update_batch_norm=True,
        dropout_rate=0.0,
    )
    losses = workload.loss_fn(
        label_batch=batch["targets"],
        logits_batch=logits,
        mask_batch=batch.get("weights"),
        label_smoothing=getattr(hyperparameters, "label_smoothing", 0.0),
    )
    summed, n_valid = losses["summed"], losses["n_valid_examples"]
    if USE_PYTORCH_DDP:
        summed, n_valid = distributed.all_reduce(summed), distributed.all_reduce(n_valid)
    loss = summed / n_valid
    loss.backward()
    optimizer.step()
    optimizer_state["scheduler"].step()
    optimizer_state["seen"] += n_valid
    if global_step % 10 == 0 and workload.metrics_logger is not None:
        workload.metrics_logger.append_scalar_metrics({"loss": loss}, global_step)
    return optimizer_state, current_param_container, new_model_state


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
    optimizer_state["n_evaluations"] += 1
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
