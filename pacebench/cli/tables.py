"""Text for a terminal: aligned tables, strict JSON, and foreign text made harmless."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Give a table as lines of text; the columns named in `right` are aligned to the right."""
    lines = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    is_right = [name in right for name in header]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, is_right, strict=True)
        ).rstrip()
        for line in lines
    )


def strict_json(document: Mapping[str, Any]) -> str:
    """Give a document as indented JSON that every reader takes; not-finite numbers become null."""
    return json.dumps(_finite(document), indent=1, allow_nan=False)


def printable(text: str) -> str:
    """Give a text that another wrote without what a terminal would act on."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Give a number with its noun.

    >>> counted(1, "study", "studies"), counted(2, "trial")
    ('1 study', '2 trials')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"


def bytes_text(n_bytes: float) -> str:
    """Give a size in GiB."""
    return f"{n_bytes / 2**30:.1f} GiB"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
