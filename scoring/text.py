"""Makes texts that others wrote safe to show on a terminal, in a figure and on a page."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""Give `text` with every character that is not printable, but for those in `keep`, replaced.

    That holds control characters, which a terminal acts on and XML forbids, and the invisible ones
    that turn the direction of writing.

    >>> printable("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\ufffd"
    True
    """
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)
