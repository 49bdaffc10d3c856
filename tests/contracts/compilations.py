"""Which compilations a framework makes while something runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.monitoring
import pytest
import torch
from torch._dynamo.utils import counters


def compilations_in_jax(run: Callable[[], object]) -> list[str]:
    """Run something; gives jax's compilation events meanwhile.

    Fails if jax, asked for a compilation of its own at the end, reports none: then the list would
    be empty whatever happened.
    """
    events: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: events.append(event)
    )
    try:
        run()
        seen = [event for event in events if "compile" in event]
        jax.jit(lambda x: x + 1.0)(1.0)
        assert len([event for event in events if "compile" in event]) > len(seen)
    finally:
        jax.monitoring.clear_event_listeners()
    return seen


def graphs_in_torch(run: Callable[[], object]) -> list[str]:
    """Run something; gives one word for each graph that torch captured meanwhile.

    Fails if torch captured none at all so far: then nothing is compiled.
    """
    before = counters["stats"]["unique_graphs"]
    assert before > 0
    run()
    return ["graph"] * (counters["stats"]["unique_graphs"] - before)


COMPILATIONS = {"jax": compilations_in_jax, "torch": graphs_in_torch}


def capture_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch's compiled modules capture graphs, with all guards, but run them as they are.

    The guards decide whether something recompiles; generating code would take 10 s a test.
    """
    compile_module = torch.nn.Module.compile

    def capture(module: torch.nn.Module, **_: Any) -> None:
        compile_module(module, backend="eager")

    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch.nn.Module, "compile", capture)
