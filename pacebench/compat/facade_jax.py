"""AlgoPerf's `model_fn` and `loss_fn` in jax."""

from __future__ import annotations

from typing import Any

import jax

from pacebench.backends.base import Run
from pacebench.backends.losses_jax import compute_loss
from pacebench.compat import spec
from pacebench.compat.facade import Calls, loss_dict
from pacebench.spec import Loss


def jax_calls(loss: Loss, run: Run, dropout_rate: float | None) -> Calls:
    """Give the jax part of a workload; `dropout_rate` serves calls that name none.

    `update_batch_norm=False` in training normalises with the running averages and leaves them
    alone, in v0.5 and v0.6; `use_running_average_bn` (v0.6) overrules the first half. In evaluation
    mode the averages are used and left alone, whatever the arguments say. A workload without batch
    norm takes and gives the model state None.
    """
    default_rate = dropout_rate

    def model_fn(  # noqa: PLR0913, PLR0917 (AlgoPerf's signature)
        params: Any,
        augmented_and_preprocessed_input_batch: dict[str, Any],
        model_state: Any,
        mode: spec.ForwardPassMode,
        rng: Any,
        update_batch_norm: bool,
        use_running_average_bn: bool | None = None,
        dropout_rate: float | jax.Array | None = None,
    ) -> tuple[Any, Any]:
        """Apply the model to a batch; gives (outputs, model_state). It may be traced."""
        is_training = mode == spec.ForwardPassMode.TRAIN
        uses_averages = not update_batch_norm
        if use_running_average_bn is not None:
            uses_averages = use_running_average_bn
        outputs, changed = run.forward(
            params,
            model_state or {},
            augmented_and_preprocessed_input_batch,
            key=rng if is_training else None,
            train=is_training,
            dropout_rate=default_rate if dropout_rate is None else dropout_rate,
            normalize_with="running" if uses_averages or not is_training else "batch",
            update_running=is_training and bool(update_batch_norm),
        )
        return outputs, changed or None

    def loss_fn(
        label_batch: Any, logits_batch: Any, mask_batch: Any = None, label_smoothing: float = 0.0
    ) -> dict[str, Any]:
        """Give the sum over the valid examples, their number, and each one's loss."""
        return loss_dict(compute_loss(loss, label_batch, logits_batch, mask_batch, label_smoothing))

    return Calls(
        model_fn=model_fn,
        loss_fn=loss_fn,
        param_shapes=jax.tree.map(lambda leaf: spec.ShapeTuple(leaf.shape), run.params),
        model_params_types=_lower_names(
            jax.tree.map(lambda kind: spec.ParameterType(int(kind)), run.kinds)
        ),
    )


def _lower_names(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {name.lower(): _lower_names(value) for name, value in tree.items()}
