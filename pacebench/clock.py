"""The clock: the only thing that measures submission time.

The whole wall time of a trial is divided into sections, exactly one of which runs at any moment,
so the sections add up to the wall time by construction. The section `submission` is the time that
is charged. The clock waits for the device (and, under several ranks, for every rank) when that
section begins and ends, so what is charged is always synchronised time; in between it may be read
without waiting, only to ask whether something is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Literal, Protocol


class Section(StrEnum):
    """What the wall time of a trial is spent on."""

    SET_UP = "set_up"
    SUBMISSION = "submission"
    EVALUATION = "evaluation"
    LOGGING = "logging"
    CHECKPOINT = "checkpoint"
    OTHER = "other"


class Device(Protocol):
    """What the clock needs to know of the hardware."""

    def wait(self) -> None:
        """Return when all work queued so far is done, on every rank."""
        ...

    def max_over_ranks(self, value: float) -> float:
        """Give the largest of all ranks' values, to every rank."""
        ...


class OneDevice:
    """A device with nothing queued and no other ranks: the clock's before a backend is bound."""

    def wait(self) -> None:
        """Return at once."""

    def max_over_ranks(self, value: float) -> float:
        """Give the value itself."""
        return value


class Clock:
    """Divides wall time into sections; `charged` is what counts against the budget.

    `now` gives seconds from a monotonic clock that all processes of a machine share (on Linux
    `time.monotonic`), so that `started_at` may be a moment before this process began. With `unit`
    "steps" the clock charges one per step instead of seconds, and results do not depend on time.
    """

    def __init__(
        self,
        *,
        unit: Literal["seconds", "steps"] = "seconds",
        now: Callable[[], float] = time.monotonic,
        started_at: float | None = None,
        spent: Mapping[str, float] | None = None,
    ) -> None:
        self.unit = unit
        self.device: Device = OneDevice()
        self._now = now
        self._section = Section.SET_UP
        self._since = now() if started_at is None else started_at
        self._spent = dict.fromkeys(Section, 0.0)
        self.restore(spent or {})

    def restore(self, spent: Mapping[str, float]) -> None:
        """Add the seconds that earlier processes of the same trial spent, by section."""
        for section, seconds in spent.items():
            self._spent[Section(section)] += seconds

    def switch(self, section: Section) -> None:
        """End the running section and begin `section`; waits for the device around `submission`."""
        was = self._section
        if Section.SUBMISSION in (was, section) and was is not section:
            self.device.wait()
        now = self._now()
        elapsed = now - self._since
        if was is Section.SUBMISSION:
            elapsed = self.device.max_over_ranks(elapsed)
        self._spent[was] += elapsed
        self._section = section
        self._since = now

    def charged(self, step: int) -> float:
        """Give what is charged so far, in the clock's unit, without waiting for the device."""
        return float(step) if self.unit == "steps" else self.seconds(Section.SUBMISSION)

    def seconds(self, section: Section) -> float:
        """Give the seconds spent in a section so far, the running one included."""
        running = self._now() - self._since if section is self._section else 0.0
        return self._spent[section] + running

    def sections(self) -> dict[str, float]:
        """Give the seconds of every section so far; they add up to the wall time."""
        now = self._now()
        running = {self._section: now - self._since}
        return {str(s): self._spent[s] + running.get(s, 0.0) for s in Section}
