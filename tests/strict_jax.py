"""A fixture for folders whose tests call jax."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def no_rank_promotion() -> Iterator[None]:
    """Let jax raise where arrays of different rank meet."""
    with jax.numpy_rank_promotion("raise"):
        yield
