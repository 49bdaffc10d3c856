"""One compile cache of jax for the session, all its workers included, quick compilation, and one
thread a worker: two with two threads each on two cores took 9:09 minutes instead of 7:26.

Tests compile many small programs, most of them more than once, and run them a few times: XLA's
optimisations would take half of the time and change no promise (XLA_FLAGS, if set, stays as it is).
Trials that tests start in processes of their own keep their own empty caches, as every trial does.
"""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
_FOLDER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Set all up before the frameworks are imported; workers inherit the environment."""
    os.environ.setdefault("XLA_FLAGS", QUICK)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
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
