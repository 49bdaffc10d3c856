"""The five losses of `pacebench.backends.losses` on torch tensors; `losses_jax` is its twin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch.nn import functional

from pacebench.backends.ctc_torch import ctc_with_breaks, is_impossible
from pacebench.backends.losses import Arrays, Call, check_shape
from pacebench.spec import Loss, LossValue


def compute_loss(
    loss: Loss,
    targets: Arrays,
    outputs: Arrays,
    mask: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> LossValue:
    """The loss of one batch: its sum over the valid units, their number, and each unit's loss.

    `pacebench.backends.losses` says what each loss takes and counts. The arrays given lie on the
    outputs' device. CTC reads the lengths on the host, which breaks a compiled graph; no other loss
    does. Raises PacebenchError if shapes do not fit.
    """
    call = Call(targets=targets, outputs=outputs, mask=mask, label_smoothing=label_smoothing)
    # `Loss(loss)`, because torch 2.13 compiles no guard on a member that only looks up a dict:
    # the first loss compiled would answer for all others.
    return _LOSSES[Loss(loss)](call)


def _softmax_cross_entropy(call: Call) -> LossValue:
    logits_UC, targets = call.outputs.float(), call.targets
    is_soft = targets.ndim == logits_UC.ndim
    check_shape("targets", targets.shape, logits_UC.shape if is_soft else logits_UC.shape[:-1])
    weights_U = _unit_weights(call.mask, logits_UC.shape[:-1])
    weights = weights_U[..., None] if is_soft and weights_U is not None else weights_U
    targets = _where_valid(weights, targets)
    targets = targets.float() if is_soft else targets.long()
    # torch wants the classes second; nothing is moved where they are last and second.
    loss_U = functional.cross_entropy(
        logits_UC.movedim(-1, 1) if logits_UC.ndim > 2 else logits_UC,
        targets.movedim(-1, 1) if is_soft and logits_UC.ndim > 2 else targets,
        reduction="none",
        label_smoothing=call.label_smoothing,
    )
    return _masked(loss_U, weights_U)


def _sigmoid_cross_entropy(call: Call) -> LossValue:
    logits_U = call.outputs.float()
    check_shape("targets", call.targets.shape, logits_U.shape)
    weights_U = _unit_weights(call.mask, logits_U.shape)
    targets_U = _where_valid(weights_U, call.targets).float()
    n_labels = logits_U.shape[-1] if logits_U.ndim > 1 else 1
    if n_labels > 1:
        targets_U = (1 - call.label_smoothing) * targets_U + call.label_smoothing / n_labels
    log_p_U = functional.logsigmoid(logits_U)
    log_not_p_U = functional.logsigmoid(-logits_U)
    return _masked(-(targets_U * log_p_U + (1 - targets_U) * log_not_p_U), weights_U)


def _regression(call: Call, penalty: Callable[[torch.Tensor], torch.Tensor]) -> LossValue:
    outputs_BN = _flat(call.outputs)
    check_shape("targets", call.targets.shape, call.outputs.shape)
    weights_B = _unit_weights(call.mask, outputs_BN.shape[:1])
    targets_BN = _where_valid(
        None if weights_B is None else weights_B[:, None], _flat(call.targets)
    )
    return _masked(penalty(outputs_BN - targets_BN).mean(dim=1), weights_B)


def _ctc(call: Call) -> LossValue:
    (tokens_BL, token_paddings_BL), (logits_BTC, frame_paddings_BT) = call.targets, call.outputs
    check_shape("paddings of targets", token_paddings_BL.shape, tokens_BL.shape)
    check_shape("paddings of outputs", frame_paddings_BT.shape, logits_BTC.shape[:2])
    weights_B = _unit_weights(call.mask, logits_BTC.shape[:1])
    n_tokens_B = (1 - token_paddings_BL.float()).sum(dim=1)
    n_frames_B = (1 - frame_paddings_BT.float()).sum(dim=1)
    log_p_BTC = functional.log_softmax(logits_BTC.float(), dim=-1)
    # An example of weight 0 has no tokens, as in jax.
    counted_B = _where_valid(weights_B, n_tokens_B).long()
    loss_B = _ctc_of_rows(log_p_BTC, n_frames_B.long(), tokens_BL.long(), counted_B)
    value = _masked(loss_B, weights_B)
    return LossValue(
        summed=value.summed,
        n_valid_examples=(n_tokens_B if weights_B is None else weights_B * n_tokens_B).sum(),
        per_example=value.per_example,
    )


def _ctc_of_rows(
    log_p_BTC: torch.Tensor,
    n_frames_B: torch.Tensor,
    tokens_BL: torch.Tensor,
    n_tokens_B: torch.Tensor,
) -> torch.Tensor:
    """torch's own CTC, but for rows that have too few frames: it is infinite there."""
    is_impossible_B = is_impossible(tokens_BL, n_tokens_B, n_frames_B)
    loss_B = functional.ctc_loss(
        log_p_BTC.transpose(0, 1),
        tokens_BL,
        n_frames_B,
        n_tokens_B.masked_fill(is_impossible_B, 0),  # an infinite loss has a gradient of NaN
        blank=0,
        reduction="none",
    )
    rows = is_impossible_B.nonzero()[:, 0]
    if len(rows) == 0:
        return loss_B
    return loss_B.index_put(
        (rows,),
        ctc_with_breaks(log_p_BTC[rows], n_frames_B[rows], tokens_BL[rows], n_tokens_B[rows]),
    )


_LOSSES: Mapping[Loss, Callable[[Call], LossValue]] = {
    Loss.SOFTMAX_CROSS_ENTROPY: _softmax_cross_entropy,
    Loss.SIGMOID_CROSS_ENTROPY: _sigmoid_cross_entropy,
    Loss.MEAN_SQUARED_ERROR: partial(_regression, penalty=torch.square),
    Loss.MEAN_ABSOLUTE_ERROR: partial(_regression, penalty=torch.abs),
    Loss.CTC: _ctc,
}


def _flat(values: torch.Tensor) -> torch.Tensor:
    return values.float().reshape(values.shape[0], math.prod(values.shape[1:]))


def _unit_weights(mask: torch.Tensor | None, shape_U: torch.Size) -> torch.Tensor | None:
    """Give every unit's weight; None stands for ones everywhere and costs nothing."""
    if mask is None:
        return None
    check_shape("mask", mask.shape, shape_U[: mask.ndim])
    n_missing = len(shape_U) - mask.ndim
    return mask.float().reshape(*mask.shape, *[1] * n_missing).expand(shape_U)


def _where_valid(weights: torch.Tensor | None, values: torch.Tensor) -> torch.Tensor:
    """Give the values, but 0 where the weight is 0: there they may be anything."""
    return values if weights is None else torch.where(weights != 0, values, 0)


def _masked(loss_U: torch.Tensor, weights_U: torch.Tensor | None) -> LossValue:
    if weights_U is None:
        n_units = torch.full((), float(loss_U.numel()), device=loss_U.device)
        return LossValue(summed=loss_U.sum(), n_valid_examples=n_units, per_example=loss_U)
    weighted_U = _where_valid(weights_U, loss_U) * weights_U
    return LossValue(
        summed=weighted_U.sum(), n_valid_examples=weights_U.sum(), per_example=weighted_U
    )
