"""Which compilations jax makes while something runs."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.monitoring


def compilations_during(run: Callable[[], object]) -> list[str]:
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
