"""What must stay as it is while a trial runs: functions of Python, libraries and the benchmark."""

from __future__ import annotations

import builtins
import importlib
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

OUR_PACKAGES = ("pacebench", "workloads", "tuning")
LIBRARIES = (builtins, math, time, np)
"""Modules whose functions clocks, metrics and data are made of; the frameworks name their own."""
MADE_TO_CHANGE = ("step", "evaluations")
"""Fields of a Run that the trial itself sets."""


def take(addresses: Iterable[str]) -> dict[str, Any]:
    """Give the functions and methods that must stay, by dotted name.

    Those of the benchmark's modules loaded by now, of LIBRARIES, and those at `addresses`.
    """
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OUR_PACKAGES:
            found.update(_callables(name, vars(module)))
            for attribute, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == name:
                    found.update(_members(f"{name}.{attribute}", value))
    for module in LIBRARIES:
        found.update(_callables(module.__name__, vars(module)))
    found.update({address: look_up(address) for address in addresses})
    return found


def changed(before: Mapping[str, Any]) -> list[str]:
    """Give the names in `before` that now stand for something else."""
    return [name for name, value in before.items() if look_up(name) is not value]


def take_fields(**objects: Any) -> dict[str, Any]:
    """Give the functions held by objects (and all fields of one called `run`), by dotted name."""
    found = {}
    for name, one in objects.items():
        for attribute, value in vars(one).items():
            if attribute not in MADE_TO_CHANGE and (name == "run" or callable(value)):
                found[f"{name}.{attribute}"] = value
    return found


def look_up(address: str) -> Any:
    """Give what a dotted name stands for; methods as their class holds them; None if nothing."""
    parts = address.split(".")
    for n in range(len(parts), 0, -1):
        module = sys.modules.get(".".join(parts[:n]))
        if module is None and n == 1:
            module = importlib.import_module(parts[0])
        if module is not None:
            value: Any = module
            for part in parts[n:]:
                value = vars(value).get(part, getattr(value, part, None))
            return value
    return None


def _callables(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for attribute, value in list(values.items()):
        if callable(value):
            yield f"{name}.{attribute}", value


def _members(name: str, owner: type) -> Iterator[tuple[str, Any]]:
    for attribute, value in vars(owner).items():
        if callable(value) or isinstance(value, staticmethod | classmethod | property):
            yield f"{name}.{attribute}", value
