"""How numbers and other people's texts are written on a page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from scoring.text import printable

N_CHARACTERS_OF_A_NAME = 64
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def without_formula(value: Any) -> Any:
    """Give a table's value such that a spreadsheet takes no text for a formula.

    >>> without_formula("=1+1"), without_formula("adamw"), without_formula(-0.5)
    ("'=1+1", 'adamw', -0.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def label(text: str) -> str:
    """Give another's name as pages show it: what cannot be seen is replaced.

    Names in attributes and in page data are labels, so that scripts can match them.
    """
    return printable(text)


def short(text: str, limit: int = N_CHARACTERS_OF_A_NAME) -> str:
    """Give another's text on one line, at most `limit` characters long.

    >>> short("a\\nname", 4)
    'a\N{REPLACEMENT CHARACTER}n\N{HORIZONTAL ELLIPSIS}'
    """
    shown = printable(text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def number(value: float) -> str:
    """Give a number to read: four digits, thousands grouped.

    >>> number(0.97351), number(12.3456), number(38311.6), number(1e26)
    ('0.9735', '12.35', '38,312', '1e+26')
    """
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def interval(low: float, high: float, form: str = ".3f") -> str:
    """Give an interval; empty if it is not known, one number if both ends are written the same."""
    if math.isnan(low) or math.isnan(high):
        return ""
    ends = (format(low, form), format(high, form))
    return ends[0] if ends[0] == ends[1] else "\N{EN DASH}".join(ends)


def band_name(band: int) -> str:
    """Give a letter for a band: A, B, … Z, then numbers."""
    return chr(ord("A") + band - 1) if band <= 26 else str(band)


def counted(n: int, word: str, plural: str = "") -> str:
    """Give a number with its noun.

    >>> counted(1, "study", "studies"), counted(1500, "trial")
    ('1 study', '1,500 trials')
    """
    return f"{n:,} {word if n == 1 else plural or word + 's'}"


def point_texts(points: Sequence[str]) -> list[list[tuple[str, str]]]:
    """Give for each point of hyperparameters (JSON) names and values of those that tell it apart.

    A submission's fixed ones are left out, unless there is nothing else; numbers to four digits.

    >>> point_texts(['{"lr": 0.1, "eps": 1e-8}', '{"lr": 0.25, "eps": 1e-8}'])
    [[('lr', '0.1')], [('lr', '0.25')]]
    >>> point_texts(['{"lr": 0.1}', ""])
    [[('lr', '0.1')], []]
    """
    different: dict[str, dict[str, Any]] = {
        text: json.loads(text) for text in dict.fromkeys(points) if text
    }
    first = next(iter(different.values()), {})
    varied = {
        name
        for values in different.values()
        for name, value in values.items()
        if name not in first or first[name] != value
    }
    shown = {
        text: [
            (str(name), f"{value:.4g}" if isinstance(value, float) else str(value))
            for name, value in values.items()
            if name in varied or not varied
        ]
        for text, values in different.items()
    }
    return [shown.get(text, []) for text in points]
