"""Texts that terminals, figures and pages share: a change of order, and others' made safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def printable(text: str, keep: str = "") -> str:
    r"""Give `text` with every character that is not printable, but for those in `keep`, replaced.

    That holds control characters, which a terminal acts on and XML forbids, and the invisible ones
    that turn the direction of writing.

    >>> printable("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\ufffd"
    True
    """
    if text.isprintable():
        return text  # nearly always, and 30 times as fast
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)


def change_text(change: Mapping[Any, Any]) -> str:
    """Say which order turns round without a submission, and which cell decides it."""
    names = {k: printable(change[k]) for k in ("left_out", "first", "second", "submission")}
    text = (
        f"without {names['left_out']}, {names['first']} is before {names['second']}: decided by "
        f"{names['submission']} on {change['workload']} "
        f"(area {change['area_with']:.3f}, then {change['area_without']:.3f}"
    )
    if change["held_out"]:
        text += (
            f"; its time on {change['held_out']} is {change['held_out_with']:.2f}, then "
            f"{change['held_out_without']:.2f} times the best"
        )
    return f"{text})"
