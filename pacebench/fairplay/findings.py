"""What a finding on fair play is: its rule, its place, its level and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is, from the mildest."""

    ALLOW = "allow"
    """Looked at and fine; told so that a reader sees what was looked at."""
    WARN = "warn"
    """A person should look: an honest reason and a cheat look alike."""
    DENY = "deny"
    """Against the rules."""


class Rule(StrEnum):
    """The rules of fair play, as docs/fair_play.md explains them."""

    WORKLOAD_NAME = "workload-name"
    WORKLOAD_TABLE = "workload-table"
    FINGERPRINT = "fingerprint"
    MEMORISED_WEIGHTS = "memorised-weights"
    EVALUATION_DATA = "evaluation-data"
    RUN_FOLDER = "run-folder"
    HISTORY = "history"
    TRIAL_STATE = "trial-state"
    PATCHING = "patching"
    INTERNALS = "internals"
    TIMER = "timer"
    DEFERRED_WORK = "deferred-work"
    THREAD = "thread"
    PROCESS = "process"
    NETWORK = "network"
    ENVIRONMENT = "environment"
    COMPILE_CACHE = "compile-cache"
    SETTINGS = "settings"
    FILES = "files"
    DYNAMIC_CODE = "dynamic-code"
    FINISHED = "finished"
    UNREAD = "unread"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One thing found by one rule."""

    rule: Rule
    place: str
    """"file.py:12", with the file below the submission's folder, or "step 3"."""
    level: Level
    reason: str
    """What is there and why it matters, in one line."""


_ORDER = list(Level)


def worst(found: Iterable[Found]) -> Level:
    """Give the worst level of findings; "allow" where there are none."""
    return max((f.level for f in found), key=_ORDER.index, default=Level.ALLOW)


def in_order(found: Iterable[Found]) -> list[Found]:
    """Give findings once each, the worst first, then by place and rule."""
    return sorted(
        set(found), key=lambda f: (-_ORDER.index(f.level), _place_key(f.place), f.rule, f.reason)
    )


def _place_key(place: str) -> tuple[str, int]:
    name, _, line = place.rpartition(":")
    return (name, int(line)) if line.isdigit() else (place, 0)
