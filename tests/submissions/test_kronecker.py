"""Shampoo and CASPR against Kronecker products written out, one block at a time, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.optimizers.blocks import cut, merge
from pacebench.optimizers.kronecker_torch import Kronecker, Preconditioning, inverse_root
from submissions.caspr_adaptive.caspr_adaptive_torch import power_of_sum
from submissions.distributed_shampoo.distributed_shampoo_torch import product

Matrix = NDArray[np.float64]
RATE, BETA1, BETA2, DECAY, MOMENTUM, PERIOD = 0.1, 0.8, 0.9, 0.2, 0.5, 2
START = np.random.default_rng(1).normal(size=(5, 3))
GRADIENTS = np.random.default_rng(2).normal(size=(4, 5, 3))


def root_of(factor: Matrix, exponent: float) -> Matrix:
    """A symmetric matrix to a power, ε and a millionth of its norm added."""
    values, vectors = np.linalg.eigh(factor)
    raised = values - min(values.min(), 0) + 1e-8 + 1e-6 * values.max()
    return (vectors * raised**exponent) @ vectors.T


def shampoo(left: Matrix, right: Matrix) -> Matrix:
    return np.kron(left, right)


def caspr(left: Matrix, right: Matrix) -> Matrix:
    total = np.kron(left, np.eye(len(right))) + np.kron(np.eye(len(left)), right)
    return total @ total


def slow_path(rows: slice, whole: Callable[[Matrix, Matrix], Matrix], grafts_adam: bool) -> Matrix:
    """One block, its preconditioner a matrix over the block's entries; gives its last values."""
    theta = START[rows].copy()
    m, v, w = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
    left, right = np.zeros((len(theta), len(theta))), np.zeros((3, 3))
    roots: tuple[Matrix, Matrix] | None = None
    for t, gradient in enumerate(GRADIENTS[:, rows], start=1):
        m = BETA1 * m + (1 - BETA1) * gradient
        v = BETA2 * v + (1 - BETA2) * gradient**2
        u = (BETA1 * m + (1 - BETA1) * gradient) / (1 - BETA1**t)
        grafted = u / (np.sqrt(v / (1 - BETA2**t)) + 1e-8) if grafts_adam else u
        left = BETA2 * left + (1 - BETA2) * gradient @ gradient.T
        right = BETA2 * right + (1 - BETA2) * gradient.T @ gradient
        if t % PERIOD == 0:
            roots = tuple(root_of(f / (1 - BETA2**t), -1 / 4) for f in (left, right))  # type: ignore[assignment]
        change = grafted
        if roots is not None:
            change = (whole(*roots) @ u.ravel()).reshape(u.shape)
            change *= np.linalg.norm(grafted) / np.linalg.norm(change)
        w = MOMENTUM * w + (1 - MOMENTUM) * (change + DECAY * theta)
        theta -= RATE * w
    return theta


@pytest.mark.parametrize("grafts_adam", [True, False])
@pytest.mark.parametrize(("combine", "whole"), [(product, shampoo), (power_of_sum, caspr)])
def test_the_steps_of_a_matrix_in_two_blocks_are_the_written_out_ones(
    combine: Any, whole: Any, grafts_adam: bool
) -> None:
    parameter = torch.nn.Parameter(torch.from_numpy(START.copy()))
    rule = Preconditioning(largest_block=3, period=PERIOD, combine=combine, grafts_adam=grafts_adam)
    optimizer = Kronecker(
        [parameter],
        rule,
        lr=RATE,
        betas=(BETA1, BETA2),
        weight_decay=DECAY,
        momentum=MOMENTUM,
    )
    for gradient in GRADIENTS:
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    expected = [slow_path(rows, whole, grafts_adam) for rows in (slice(0, 3), slice(3, 5))]
    # The second block is one row short of three, and filled up with zeros.
    np.testing.assert_allclose(parameter.detach().numpy(), np.concatenate(expected), rtol=1e-6)


def test_a_vectors_first_direction_is_full_matrix_adagrads() -> None:
    # L = (1 - β2) g gᵀ / (1 - β2) has g's direction as its eigenvector with value ‖g‖², so that
    # L^(-1/2) g = g / ‖g‖; grafting SGD's length onto it gives g back.
    parameter = torch.nn.Parameter(torch.zeros(2))
    rule = Preconditioning(
        largest_block=8, period=1, combine=product, grafts_adam=False, is_nesterov=False
    )
    optimizer = Kronecker([parameter], rule, lr=1.0, betas=(0.9, 0.9), weight_decay=0.0)
    parameter.grad = torch.tensor([3.0, 4.0])
    optimizer.step()
    np.testing.assert_allclose(parameter.detach().numpy(), [-3.0, -4.0], rtol=1e-4)
    (root,) = optimizer.state[parameter]["roots"]
    # 25^(-1/2) along (0.6, 0.8) is 0.2; across it (1e-6 · 25)^(-1/2) is 200.
    np.testing.assert_allclose(root[0] @ torch.tensor([0.6, 0.8]), [0.12, 0.16], rtol=1e-3)
    np.testing.assert_allclose(root[0] @ torch.tensor([0.8, -0.6]), [160.0, -120.0], rtol=2e-2)


def test_inverse_roots_worked_by_hand() -> None:
    # The eigenvalues of ((10, 6), (6, 10)) are 16 along (1, 1) and 4 along (1, -1), their inverse
    # square roots ¼ and ½: ((¼ + ½) / 2, (¼ - ½) / 2).
    (root,) = inverse_root(torch.tensor([[[10.0, 6.0], [6.0, 10.0]]]), 2)
    np.testing.assert_allclose(root, [[0.375, -0.125], [-0.125, 0.375]], rtol=1e-5)


def test_a_factor_that_is_not_finite_gives_roots_that_are_not() -> None:
    factors = torch.eye(2).repeat(2, 1, 1)
    factors[1, 0, 0] = torch.inf
    assert inverse_root(factors, 4).isnan().all()


@pytest.mark.parametrize(
    ("shape", "largest", "merged"),
    [
        ((64, 3, 7, 7), 1024, (192, 49)),  # 64·3 = 192; 192·7 > 1024; 7·7 = 49
        ((1, 5, 1), 4, (5,)),
        ((2000, 1), 1024, (2000,)),
        ((3, 4), 12, (12,)),
        ((), 8, (1,)),
        ((1, 1), 8, (1,)),
    ],
)
def test_small_neighbours_are_merged(
    shape: tuple[int, ...], largest: int, merged: tuple[int, ...]
) -> None:
    assert merge(shape, largest) == merged


def test_blocks_are_of_equal_size() -> None:
    blocks = cut((10, 7), 4)  # 10 = 3 blocks of 4, the last filled up; 7 = 2 blocks of 4
    assert (blocks.counts, blocks.block, blocks.n_blocks) == ((3, 2), (4, 4), 6)
    assert blocks.padded == (12, 8)
