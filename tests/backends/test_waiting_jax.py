"""The clock waits for all of JAX's work, also for what the state does not depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import library_plan, open_trial

jax = pytest.importorskip("jax")


def test_waiting_waits_for_work_that_is_in_no_state(tmp_path: Path) -> None:
    import jax.numpy as jnp

    backend = open_trial(library_plan("jax"), tmp_path).backend
    backend.step(1)

    @jax.jit
    def work(matrix):
        return jax.lax.fori_loop(0, 400, lambda _, m: jnp.tanh(m @ matrix), matrix)

    matrix = jnp.full((400, 400), 0.01)
    work(matrix).block_until_ready()  # compiled
    hidden = work(matrix)
    assert not hidden.is_ready()  # half a second of work, given out at once
    backend.wait()
    assert hidden.is_ready()
