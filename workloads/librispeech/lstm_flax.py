"""A bidirectional LSTM layer in flax, fast on CPUs and GPUs alike.

c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), where every gate is W_i x + W_h h + b_h.

All that does not depend on h is computed for all positions at once, and both directions step
together. The gradient is written by hand for the same reason: the gradient of W_h is one product
over all positions, where differentiating the loop would add one to it at every step.

Letters: B batch, T positions, D width, H units of a direction, G the four gates' units, R the two
directions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.librispeech.deepspeech import GATES

Pair = tuple[jax.Array, jax.Array]


class Gate(nn.Module):
    """The parameters of one gate, from the input (without bias) or from the state."""

    n_in: int
    n_units: int
    is_from_input: bool

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array | None]:
        """Give its kernel and bias."""
        initializers = nn.initializers
        init = initializers.lecun_normal() if self.is_from_input else initializers.orthogonal()
        kernel = self.param("kernel", init, (self.n_in, self.n_units))
        if self.is_from_input:
            return kernel, None
        return kernel, self.param("bias", initializers.zeros, (self.n_units,))


class Cell(nn.Module):
    """The parameters of one direction, gate by gate."""

    n_in: int
    n_units: int

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Give W_i [D, G], W_h [H, G] and b_h [G]."""
        n_in, n_units = self.n_in, self.n_units
        from_input = [Gate(n_in, n_units, True, name=f"i{gate}")() for gate in GATES]
        from_state = [Gate(n_units, n_units, False, name=f"h{gate}")() for gate in GATES]
        return (
            jnp.concatenate([kernel for kernel, _ in from_input], axis=1),
            jnp.concatenate([kernel for kernel, _ in from_state], axis=1),
            jnp.concatenate([bias for _, bias in from_state]),
        )


class _Sequence(nn.Module):
    n_in: int
    n_units: int

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        return Cell(self.n_in, self.n_units, name="cell")()


class _Layer(nn.Module):
    """AlgoPerf's path to the cells of both directions."""

    n_in: int
    n_units: int

    @nn.compact
    def __call__(self) -> list[tuple[jax.Array, jax.Array, jax.Array]]:
        return [
            _Sequence(self.n_in, self.n_units, name=f"LSTMSequenceEncoder_{i}")() for i in range(2)
        ]


class BidirectionalLstm(nn.Module):
    """One LSTM from the first position on and one from the last that is not padding."""

    n_units: int

    @nn.compact
    def __call__(self, x_BTD: jax.Array, paddings_BT: jax.Array) -> jax.Array:
        """Give [B, T, 2H], the forward direction first, 0 at padding."""
        cells = _Layer(x_BTD.shape[-1], self.n_units, name="LSTM")()
        turned_BT = turned_positions(paddings_BT)
        inputs = (x_BTD, _at(x_BTD, turned_BT))
        gates_TBG = tuple(
            ((x @ kernel_DG) + bias_G.reshape(1, 1, -1)).swapaxes(0, 1)
            for x, (kernel_DG, _, bias_G) in zip(inputs, cells, strict=True)
        )
        recurrent_HG = tuple(kernel_HG for _, kernel_HG, _ in cells)
        states_TBH = run_lstm(gates_TBG, recurrent_HG)
        ahead_BTH, back_BTH = (states.swapaxes(0, 1) for states in states_TBH)
        both_BTH = jnp.concatenate([ahead_BTH, _at(back_BTH, turned_BT)], axis=-1)
        return both_BTH * (1 - paddings_BT)[..., None]


class _Trace(NamedTuple):
    """What a step leaves behind for the gradient: activated gates, the cell and the state."""

    gates_BG: jax.Array
    cell_BH: jax.Array
    state_BH: jax.Array


@jax.custom_vjp
def run_lstm(gates_TBG: Pair, recurrent_HG: Pair) -> Pair:
    """Give the states [T, B, H] of both directions, from the gates without their states' share."""
    return tuple(trace.state_BH for trace in _run(gates_TBG, recurrent_HG))


def _run(gates_TBG: Pair, recurrent_HG: Pair) -> tuple[_Trace, _Trace]:
    n_units = recurrent_HG[0].shape[0]
    start_BH = jnp.zeros_like(gates_TBG[0][0, :, :n_units])

    def step(carry: Pair, gates_BG: Pair) -> tuple[tuple[Pair, Pair], tuple[_Trace, _Trace]]:
        traces = tuple(
            _step(cell, state, gates, kernel)
            for (cell, state), gates, kernel in zip(carry, gates_BG, recurrent_HG, strict=True)
        )
        return tuple((trace.cell_BH, trace.state_BH) for trace in traces), traces

    start = ((start_BH, start_BH), (start_BH, start_BH))
    return jax.lax.scan(step, start, gates_TBG)[1]


def _step(
    cell_BH: jax.Array, state_BH: jax.Array, gates_BG: jax.Array, kernel_HG: jax.Array
) -> _Trace:
    i, f, g, o = jnp.split(gates_BG + state_BH @ kernel_HG, 4, axis=1)
    i, f, g, o = nn.sigmoid(i), nn.sigmoid(f), jnp.tanh(g), nn.sigmoid(o)
    cell_BH = f * cell_BH + i * g
    return _Trace(jnp.concatenate([i, f, g, o], axis=1), cell_BH, o * jnp.tanh(cell_BH))


def _run_and_keep(gates_TBG: Pair, recurrent_HG: Pair) -> tuple[Pair, tuple[_Trace, ...]]:
    traces = _run(gates_TBG, recurrent_HG)
    return tuple(t.state_BH for t in traces), (*traces, recurrent_HG)


def _slopes(kept: tuple[_Trace, ...], state_slopes_TBH: Pair) -> tuple[Pair, Pair]:
    *traces, recurrent_HG = kept

    def step_back(carry: Pair, at: tuple) -> tuple[tuple[Pair, Pair], Pair]:
        found = [
            _step_back(*values, kernel)
            for *values, kernel in zip(carry, *at, recurrent_HG, strict=True)
        ]
        return tuple(f[0] for f in found), tuple(f[1] for f in found)

    zeros = jnp.zeros_like(state_slopes_TBH[0][0])
    cells_before = tuple(_shifted(trace.cell_BH) for trace in traces)
    _, gate_slopes_TBG = jax.lax.scan(
        step_back,
        ((zeros, zeros), (zeros, zeros)),
        (tuple(traces), cells_before, state_slopes_TBH),
        reverse=True,
    )
    kernel_slopes_HG = tuple(
        jnp.einsum("tbh,tbg->hg", _shifted(trace.state_BH), slopes)
        for trace, slopes in zip(traces, gate_slopes_TBG, strict=True)
    )
    return gate_slopes_TBG, kernel_slopes_HG


def _step_back(
    carry: Pair,
    trace: _Trace,
    cell_before_BH: jax.Array,
    slope_BH: jax.Array,
    kernel_HG: jax.Array,
) -> tuple[Pair, jax.Array]:
    """Give the slopes of the cell and the state before, and of the gates before activation."""
    cell_slope_BH, state_slope_BH = carry
    i, f, g, o = jnp.split(trace.gates_BG, 4, axis=1)
    tanh_BH = jnp.tanh(trace.cell_BH)
    state_slope_BH = state_slope_BH + slope_BH
    cell_slope_BH = cell_slope_BH + state_slope_BH * o * (1 - tanh_BH * tanh_BH)
    slopes_BG = jnp.concatenate(
        [
            cell_slope_BH * g * i * (1 - i),
            cell_slope_BH * cell_before_BH * f * (1 - f),
            cell_slope_BH * i * (1 - g * g),
            state_slope_BH * tanh_BH * o * (1 - o),
        ],
        axis=1,
    )
    return (cell_slope_BH * f, slopes_BG @ kernel_HG.T), slopes_BG


run_lstm.defvjp(_run_and_keep, _slopes)


def turned_positions(paddings_BT: jax.Array) -> jax.Array:
    """Give where each position goes when an example is turned round and its padding stays last."""
    lengths_B1 = (1 - paddings_BT).sum(1, keepdims=True).astype(jnp.int32)
    at_1T = jnp.arange(paddings_BT.shape[1])[None]
    return jnp.where(at_1T < lengths_B1, lengths_B1 - 1 - at_1T, at_1T)


def _at(x_BTD: jax.Array, positions_BT: jax.Array) -> jax.Array:
    return jnp.take_along_axis(x_BTD, positions_BT[..., None], axis=1)


def _shifted(x_TBH: jax.Array) -> jax.Array:
    """Give what stood at the position before, and 0 at the first."""
    return jnp.concatenate([jnp.zeros_like(x_TBH[:1]), x_TBH[:-1]])
