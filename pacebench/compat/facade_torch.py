"""AlgoPerf's `model_fn` and `loss_fn` in torch."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from pacebench.backends.base import Run
from pacebench.backends.losses_torch import compute_loss
from pacebench.compat import spec
from pacebench.compat.facade import Calls, loss_dict
from pacebench.spec import Loss, Mode

_EVALUATION = Mode(train=False, normalize_with="running", update_running=False)


def torch_calls(loss: Loss, run: Run, dropout_rate: float | None, is_v05: bool) -> Calls:
    """Give the torch part of a workload; `dropout_rate` serves calls that name none.

    `update_batch_norm=False` in training normalises with the running averages for submissions of
    AlgoPerf v0.5 and with the batch since v0.6; neither updates the averages. In evaluation mode
    the averages are used and left alone, whatever `update_batch_norm` says.
    """
    default_rate = dropout_rate

    def model_fn(  # noqa: PLR0913, PLR0917 (AlgoPerf's signature)
        params: torch.nn.Module,
        augmented_and_preprocessed_input_batch: dict[str, Any],
        model_state: Any,
        mode: spec.ForwardPassMode,
        rng: Any,  # noqa: ARG001 (torch's generators are seeded by the backend)
        update_batch_norm: bool,
        dropout_rate: float | None = None,
    ) -> tuple[Any, Any]:
        """Call the module `params` (wrapped or not) on a batch; gives (outputs, model_state)."""
        is_training = mode == spec.ForwardPassMode.TRAIN
        our_mode = _EVALUATION
        if is_training:
            our_mode = Mode(
                train=True,
                dropout_rate=default_rate if dropout_rate is None else dropout_rate,
                normalize_with="batch" if update_batch_norm or not is_v05 else "running",
                update_running=bool(update_batch_norm),
            )
        with contextlib.nullcontext() if is_training else torch.no_grad():
            outputs = params(augmented_and_preprocessed_input_batch, our_mode)
        return outputs, model_state

    def loss_fn(
        label_batch: Any, logits_batch: Any, mask_batch: Any = None, label_smoothing: float = 0.0
    ) -> dict[str, Any]:
        """Give the sum over this rank's valid examples, their number, and each one's loss."""
        return loss_dict(compute_loss(loss, label_batch, logits_batch, mask_batch, label_smoothing))

    return Calls(
        model_fn=model_fn,
        loss_fn=loss_fn,
        param_shapes={name: spec.ShapeTuple(p.shape) for name, p in run.params.items()},
        model_params_types={n: spec.ParameterType(int(k)) for n, k in run.kinds.items()},
    )
