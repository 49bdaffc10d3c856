"""One compile cache for the session, all its workers included: many tests compile the same small
programs with jax.

Trials that tests start in processes of their own keep their own empty caches, as every trial does.
"""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

_FOLDER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Name the cache before jax is imported; workers inherit the name."""
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.mkdtemp(prefix="pacebench-tests-")
    config.stash[_FOLDER] = folder
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete it."""
    if _FOLDER in config.stash:
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)
