"""What must stay as it is while a trial runs: functions of Python, libraries and the benchmark."""

from __future__ import annotations

import builtins
import math
import sys
import time
from collections.abc import Iterable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

OUR_PACKAGES = ("pacebench", "workloads", "tuning")
LIBRARIES = (builtins, math, time, np)
"""Modules whose functions clocks, metrics and data are made of; the frameworks name their own."""
MADE_TO_CHANGE = ("step", "evaluations")
"""Fields of a Run that the trial itself sets."""


class Kept(NamedTuple):
    """Something that must stay what it is."""

    name: str
    owner: Any
    """The module or class that holds it."""
    attribute: str
    value: Any
    code: Any = None
    """What a function runs, which may be replaced where the function stays."""

    def now(self) -> Any:
        """Give what is there now; methods as their class holds them."""
        own = vars(self.owner)
        return own[self.attribute] if self.attribute in own else getattr(self.owner, self.attribute)


def take(addresses: Iterable[str]) -> list[Kept]:
    """Give the functions and methods that must stay.

    Those of the benchmark's modules loaded by now, of LIBRARIES, and those at `addresses`
    (dotted names of loaded modules' attributes, or of their classes').
    """
    kept: list[Kept] = []
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OUR_PACKAGES:
            kept += _callables(name, module)
            for attribute, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == name:
                    kept += _callables(f"{name}.{attribute}", value)
    for library in LIBRARIES:
        kept += _callables(library.__name__, library)
    return kept + [_at(address) for address in addresses]


def changed(kept: Iterable[Kept]) -> list[str]:
    """Give the names of what is now something else."""
    return [
        one.name
        for one in kept
        if one.now() is not one.value or _code_of(one.value) is not one.code
    ]


def again(kept: Iterable[Kept]) -> list[Kept]:
    """Give the same with what is there now."""
    return [one._replace(value=one.now(), code=_code_of(one.now())) for one in kept]


def take_fields(**objects: Any) -> dict[str, Any]:
    """Give the functions held by objects (and all fields of one called `run`), by dotted name."""
    found = {}
    for name, one in objects.items():
        for attribute, value in vars(one).items():
            if attribute not in MADE_TO_CHANGE and (name == "run" or callable(value)):
                found[f"{name}.{attribute}"] = value
    return found


def _callables(name: str, owner: Any) -> list[Kept]:
    return [
        Kept(f"{name}.{attribute}", owner, attribute, value, _code_of(value))
        for attribute, value in list(vars(owner).items())
        if callable(value) or isinstance(value, staticmethod | classmethod | property)
    ]


def _at(address: str) -> Kept:
    """Find an address below the longest loaded module of its name."""
    parts = address.split(".")
    n = max(n for n in range(1, len(parts)) if ".".join(parts[:n]) in sys.modules)
    owner: Any = sys.modules[".".join(parts[:n])]
    for part in parts[n:-1]:
        owner = getattr(owner, part)
    kept = Kept(address, owner, parts[-1], None)
    return kept._replace(value=kept.now(), code=_code_of(kept.now()))


def _code_of(value: Any) -> Any:
    return value.__code__ if isinstance(value, FunctionType) else None
