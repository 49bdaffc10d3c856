"""Distributed Shampoo with warmup and cosine decay, in optax.

The method, its sources and our choices stand in distributed_shampoo_torch; the formulas in
pacebench.optimizers.kronecker_torch, of which this is the twin. A flax kernel is the transpose of a
torch weight, which only exchanges the factors.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pacebench.optimizers.blocks import cut
from pacebench.schedules import table

EPSILON = 1e-8  # of roots and of the grafted method: the competition's Shampoo (v0.5 logs)
RIDGE = 1e-6  # see the torch twin
SMALLEST_NORM = 1e-16  # beside ‖P‖, which is 0 where the gradient is


class State(NamedTuple):
    """The steps made, and per parameter m, v, w, L_i and R_i as in the formulas."""

    n_steps: jax.Array
    m: Any
    v: Any
    w: Any
    factors: Any
    """In the parameters' order a list of ω arrays [n_blocks, b_i, b_i]."""
    roots: Any


def make(parameters, hparams, run):  # noqa: ARG001 (optax sees the parameters itself)
    """Give the transformation; its schedule ends at a part of the step hint."""
    horizon = max(1, round(hparams.decay_factor * run.step_hint))
    factors = table("cosine", horizon, hparams.warmup_factor / hparams.decay_factor)
    period = max(1, min(hparams.precondition_period, run.step_hint // 50))
    return optax.chain(
        scale_by_shampoo(hparams, period),
        optax.scale_by_learning_rate(
            lambda count: hparams.learning_rate * jnp.asarray(factors)[count]
        ),
    )


def scale_by_shampoo(hparams, period):
    """Give the transformation of g to w."""
    betas = 1 - hparams.one_minus_beta1, 1 - hparams.one_minus_beta2

    def cut_of(array):
        return cut(array.shape, hparams.largest_block)

    def init(params):
        m, v, w = (jax.tree.map(jnp.zeros_like, params) for _ in range(3))
        factors, roots = (
            [
                [jnp.zeros((plan.n_blocks, size, size)) for size in plan.block]
                for plan in map(cut_of, jax.tree.leaves(params))
            ]
            for _ in range(2)
        )
        return State(jnp.zeros([], jnp.int32), m, v, w, factors, roots)

    def update(gradients, state, params):
        n_steps = state.n_steps + 1
        m, v, u, grafted = filtered(gradients, state, betas, hparams)
        factors = [
            _taken_in(held, _blocked(g, cut_of(g)), betas[1])
            for held, g in zip(state.factors, jax.tree.leaves(gradients), strict=True)
        ]
        correction = 1 - betas[1] ** n_steps
        roots = jax.lax.cond(
            n_steps % period == 0,
            lambda factors, _: inverse_roots(factors, correction, hparams.inverse_root),
            lambda _, roots: roots,
            factors,
            state.roots,
        )
        leaves = zip(jax.tree.leaves(u), jax.tree.leaves(grafted), roots, strict=True)
        is_ready = n_steps >= period
        changes = [_preconditioned(u, a, held, cut_of(u), is_ready) for u, a, held in leaves]
        change = jax.tree.unflatten(jax.tree.structure(gradients), changes)
        change = jax.tree.map(lambda c, p: c + hparams.weight_decay * p, change, params)
        w = jax.tree.map(lambda w, c: w + (1 - hparams.momentum) * (c - w), state.w, change)
        return w, State(n_steps, m, v, w, factors, roots)

    return optax.GradientTransformation(init, update)


def filtered(gradients, state, betas, hparams):
    """Give m, v, u and a after one more step."""
    beta1, beta2 = betas
    n_steps = state.n_steps + 1
    m = jax.tree.map(lambda m, g: m + (1 - beta1) * (g - m), state.m, gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, state.v, gradients)
    u = m
    if hparams.is_nesterov:
        u = jax.tree.map(lambda m, g: m + (1 - beta1) * (g - m), m, gradients)
    u = jax.tree.map(lambda u: u / (1 - beta1**n_steps), u)
    if hparams.grafted != "adam":
        return m, v, u, u
    correction = 1 - beta2**n_steps
    return m, v, u, jax.tree.map(lambda u, v: u / (jnp.sqrt(v / correction) + EPSILON), u, v)


def _taken_in(factors, gradient, beta2):
    """Give the factors of a blocked gradient after one more step."""
    taken = []
    for i, factor in enumerate(factors):
        moved = jnp.moveaxis(gradient, i + 1, 1)
        unfolded = moved.reshape(*moved.shape[:2], -1)
        square = jnp.einsum("nij,nkj->nik", unfolded, unfolded)
        taken.append(beta2 * factor + (1 - beta2) * square)
    return taken


def inverse_roots(factors, correction, root):
    """Give the inverse roots of all factors [n, b, b]; see the torch twin.

    Those of equal size go through one decomposition, which is what compiling and running cost.
    The sizes take turns, because jaxlib (0.10) stands still on a CPU when as many batched
    decompositions run at once as it has threads: each waits there for a free one. Only a true
    dependence on the one before keeps the order (jax.lax.optimization_barrier is dropped).
    """
    flat = [factor for held in factors for factor in held]
    decomposed = [None] * len(flat)
    is_nan = False
    for size in sorted({factor.shape[-1] for factor in flat}):
        places = [i for i, factor in enumerate(flat) if factor.shape[-1] == size]
        ends = np.cumsum([len(flat[i]) for i in places])[:-1]
        matrices = jnp.concatenate([flat[i] for i in places]) / correction
        parts = jnp.linalg.eigh(jnp.where(is_nan, jnp.nan, matrices))
        is_nan = jnp.isnan(parts[0]).any()
        split = zip(*(jnp.split(part, ends) for part in parts), strict=True)
        for i, pair in zip(places, split, strict=True):
            decomposed[i] = pair
    pairs = iter(decomposed)
    return [[_power(*next(pairs), -1 / (root or 2 * len(held))) for _ in held] for held in factors]


def _power(values, vectors, exponent):
    """Give symmetric matrices to a power, by their eigenvalues, which are raised first."""
    raised = values - jnp.minimum(values[:, :1], 0.0) + EPSILON + RIDGE * values[:, -1:]
    return jnp.einsum("nij,nj,nkj->nik", vectors, raised**exponent, vectors)


def _preconditioned(u, grafted, roots, blocks, is_ready):
    """Give P with the length of a in each block, or a itself before the first roots."""
    direction = _blocked(u, blocks)
    for i, root in enumerate(roots):
        moved = jnp.moveaxis(direction, i + 1, -1)
        direction = jnp.moveaxis(jnp.einsum("n...i,nij->n...j", moved, root), -1, i + 1)
    sizes = _norms(_blocked(grafted, blocks)) / (_norms(direction) + SMALLEST_NORM)
    return jnp.where(is_ready, _joined(direction * sizes, blocks, u.shape), grafted)


def _blocked(array, blocks):
    """Give a parameter-shaped array as [n_blocks, *block]."""
    ends = [(0, p - m) for p, m in zip(blocks.padded, blocks.merged, strict=True)]
    split = jnp.pad(array.reshape(blocks.merged), ends).reshape(blocks.split)
    return split.transpose(blocks.to_blocks).reshape(-1, *blocks.block)


def _joined(blocked, blocks, shape):
    """Give blocks as an array of the parameter's shape."""
    split = blocked.reshape(*blocks.counts, *blocks.block).transpose(blocks.from_blocks)
    padded = split.reshape(blocks.padded)
    return padded[tuple(slice(size) for size in blocks.merged)].reshape(shape)


def _norms(blocked):
    """Give the norm of each block, [n, 1…]."""
    axes = tuple(range(1, blocked.ndim))
    return jnp.sqrt(jnp.sum(blocked**2, axes, keepdims=True))
