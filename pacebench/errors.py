"""Errors that pacebench raises on purpose: what failed, the value, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PacebenchError(Exception):
    """A mistake or a condition that a person can act on; the command line prints it as one line."""


class UnknownNameError(PacebenchError):
    """A name (of a workload, a submission, a ruleset …) that is not known."""


class DataError(PacebenchError):
    """A data file that is missing, corrupt or smaller than published."""


class SpaceError(PacebenchError):
    """A search space that cannot be drawn from."""


class RulesError(PacebenchError):
    """A rules file that cannot be read, or that lacks what is asked of it."""


class PlanError(PacebenchError):
    """A plan that cannot be run, or a run folder that was made by another plan or version."""


class StoreError(PacebenchError):
    """A run folder that cannot be read or written."""


class SubmissionError(PacebenchError):
    """A submission that cannot be found, loaded or run as it is."""


class LogsError(PacebenchError):
    """Runs or logs that cannot be scored."""


def unknown_name(kind: str, name: str, allowed: Iterable[str]) -> UnknownNameError:
    """An error for an unknown `name`, with the closest allowed name as a suggestion.

    >>> str(unknown_name("workload", "wtm", ["wmt", "mnist"]))
    "unknown workload 'wtm'; did you mean 'wmt'? (known: mnist, wmt)"
    """
    known = sorted(allowed)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return UnknownNameError(f"unknown {kind} '{name}'{hint} (known: {', '.join(known) or 'none'})")
