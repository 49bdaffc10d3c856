"""The five losses of `pacebench.backends.losses` on jax arrays; `losses_torch` is its twin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import optax

from pacebench.backends.losses import Arrays, Call, check_shape
from pacebench.spec import Loss, LossValue


def compute_loss(
    loss: Loss,
    targets: Arrays,
    outputs: Arrays,
    mask: jax.Array | None = None,
    label_smoothing: float | jax.Array = 0.0,
) -> LossValue:
    """The loss of one batch: its sum over the valid units, their number, and each unit's loss.

    `pacebench.backends.losses` says what each loss takes and counts. Everything but `loss` may be
    traced, `label_smoothing` too. Raises PacebenchError if shapes do not fit.
    """
    call = Call(targets=targets, outputs=outputs, mask=mask, label_smoothing=label_smoothing)
    return _LOSSES[loss](call)


def _softmax_cross_entropy(call: Call) -> LossValue:
    logits_UC, targets = _float32(call.outputs), call.targets
    is_soft = targets.ndim == logits_UC.ndim
    check_shape("targets", targets.shape, logits_UC.shape if is_soft else logits_UC.shape[:-1])
    weights_U = _unit_weights(call.mask, logits_UC.shape[:-1])
    if is_soft:
        weights_UC = None if weights_U is None else weights_U[..., None]
        targets_UC = _float32(_where_valid(weights_UC, targets))
        log_p_UC = jax.nn.log_softmax(logits_UC, axis=-1)
        loss_U = -(targets_UC * log_p_UC).sum(axis=-1)
    else:
        targets_U = _where_valid(weights_U, targets).astype(jnp.int32)
        loss_U = optax.softmax_cross_entropy_with_integer_labels(logits_UC, targets_U)
    alpha = call.label_smoothing
    if not isinstance(alpha, float | int) or alpha != 0:
        # Without the `where`, a logit of -inf would make 0 · inf.
        uniform_loss_U = -jax.nn.log_softmax(logits_UC, axis=-1).mean(axis=-1)
        loss_U = (1 - alpha) * loss_U + jnp.where(alpha == 0, 0, alpha * uniform_loss_U)
    return _masked(loss_U, weights_U)


def _sigmoid_cross_entropy(call: Call) -> LossValue:
    logits_U = _float32(call.outputs)
    check_shape("targets", call.targets.shape, logits_U.shape)
    weights_U = _unit_weights(call.mask, logits_U.shape)
    targets_U = _float32(_where_valid(weights_U, call.targets))
    n_labels = logits_U.shape[-1] if logits_U.ndim > 1 else 1
    if n_labels > 1:
        targets_U = (1 - call.label_smoothing) * targets_U + call.label_smoothing / n_labels
    log_p_U = jax.nn.log_sigmoid(logits_U)
    log_not_p_U = jax.nn.log_sigmoid(-logits_U)
    return _masked(-(targets_U * log_p_U + (1 - targets_U) * log_not_p_U), weights_U)


def _regression(call: Call, penalty: Callable[[jax.Array], jax.Array]) -> LossValue:
    outputs_BN = _flat(call.outputs)
    check_shape("targets", call.targets.shape, call.outputs.shape)
    weights_B = _unit_weights(call.mask, outputs_BN.shape[:1])
    weights_BN = None if weights_B is None else weights_B[:, None]
    targets_BN = _where_valid(weights_BN, _flat(call.targets))
    return _masked(penalty(outputs_BN - targets_BN).mean(axis=1), weights_B)


def _ctc(call: Call) -> LossValue:
    (tokens_BL, token_paddings_BL), (logits_BTC, frame_paddings_BT) = call.targets, call.outputs
    check_shape("paddings of targets", token_paddings_BL.shape, tokens_BL.shape)
    check_shape("paddings of outputs", frame_paddings_BT.shape, logits_BTC.shape[:2])
    weights_B = _unit_weights(call.mask, logits_BTC.shape[:1])
    token_paddings_BL = _float32(token_paddings_BL)
    if weights_B is None:
        weights_B = jnp.ones(logits_BTC.shape[0], jnp.float32)
    loss_B = optax.ctc_loss(
        _float32(logits_BTC),
        _float32(frame_paddings_BT),
        jnp.asarray(tokens_BL, dtype=jnp.int32),
        # An example of weight 0 has no tokens, as in torch.
        jnp.where(weights_B[:, None] != 0, token_paddings_BL, 1),
        blank_id=0,
    )
    value = _masked(loss_B, weights_B)
    return LossValue(
        summed=value.summed,
        n_valid_examples=(weights_B * (1 - token_paddings_BL).sum(axis=1)).sum(),
        per_example=value.per_example,
    )


_LOSSES: Mapping[Loss, Callable[[Call], LossValue]] = {
    Loss.SOFTMAX_CROSS_ENTROPY: _softmax_cross_entropy,
    Loss.SIGMOID_CROSS_ENTROPY: _sigmoid_cross_entropy,
    Loss.MEAN_SQUARED_ERROR: partial(_regression, penalty=jnp.square),
    Loss.MEAN_ABSOLUTE_ERROR: partial(_regression, penalty=jnp.abs),
    Loss.CTC: _ctc,
}


def _float32(values: jax.Array) -> jax.Array:
    return jnp.asarray(values, dtype=jnp.float32)


def _flat(values: jax.Array) -> jax.Array:
    return _float32(values).reshape(values.shape[0], math.prod(values.shape[1:]))


def _unit_weights(mask: jax.Array | None, shape_U: tuple[int, ...]) -> jax.Array | None:
    """Give every unit's weight; None stands for ones everywhere."""
    if mask is None:
        return None
    check_shape("mask", mask.shape, shape_U[: mask.ndim])
    n_missing = len(shape_U) - mask.ndim
    return jnp.broadcast_to(_float32(mask).reshape(*mask.shape, *[1] * n_missing), shape_U)


def _where_valid(weights: jax.Array | None, values: jax.Array) -> jax.Array:
    """Give the values, but 0 where the weight is 0: there they may be anything."""
    return values if weights is None else jnp.where(weights != 0, values, 0)


def _masked(loss_U: jax.Array, weights_U: jax.Array | None) -> LossValue:
    if weights_U is None:
        n_units = jnp.float32(math.prod(loss_U.shape))
        return LossValue(summed=loss_U.sum(), n_valid_examples=n_units, per_example=loss_U)
    weighted_U = _where_valid(weights_U, loss_U) * weights_U
    return LossValue(
        summed=weighted_U.sum(), n_valid_examples=weights_U.sum(), per_example=weighted_U
    )
