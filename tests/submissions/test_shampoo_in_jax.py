"""Distributed Shampoo's roots in jax: all sizes in one step, on any number of cores."""

from __future__ import annotations

import subprocess
import sys

import jax.numpy as jnp
import numpy as np

from submissions.distributed_shampoo.distributed_shampoo_jax import inverse_roots

MANY_SIZES = """
import jax, numpy as np
from submissions.distributed_shampoo.distributed_shampoo_jax import inverse_roots

factors = [[np.stack([np.eye(size, dtype="f") * k for k in range(1, 17)])] for size in (64, 65, 66)]
roots = jax.jit(lambda factors: inverse_roots(factors, 1.0, 2))
for _ in range(300):
    jax.block_until_ready(roots(factors))
print("done")
"""


def test_decompositions_of_many_sizes_do_not_wait_for_one_another() -> None:
    # In a process of its own: what this once did on two cores cannot be interrupted.
    done = subprocess.run(
        [sys.executable, "-c", MANY_SIZES], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "done\n"


def test_each_factor_gets_its_own_root() -> None:
    # Of k I the inverse square root is I / √k; the factors of two parameters, two sizes.
    sizes = ((3, 2), (2,))
    factors = [[jnp.eye(n)[None] * (k + n) for n in held] for k, held in enumerate(sizes)]
    for k, (held, roots) in enumerate(zip(sizes, inverse_roots(factors, 1.0, 2), strict=True)):
        for n, root in zip(held, roots, strict=True):
            np.testing.assert_allclose(root, np.eye(n)[None] / np.sqrt(k + n), rtol=1e-5)


def test_a_factor_that_is_not_finite_gives_roots_that_are_not() -> None:
    factors = [[jnp.eye(2)[None].at[0, 0, 0].set(jnp.inf)], [jnp.eye(3)[None]]]
    for (root,) in inverse_roots(factors, 1.0, 4):
        assert jnp.isnan(root).all()
