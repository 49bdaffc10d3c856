"""Page data as classic scripts: a page opened from disk can load a script, but no JSON."""

from __future__ import annotations

import json
import re
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def data_script(name: str, value: Any) -> str:
    r"""Give the text of a script that sets `PACEBENCH.data.<name>` to `value`.

    The value goes through JSON.parse, where a key "__proto__" is a key like any other. The text is
    ASCII, so nothing that others wrote can end a line or a script. Raises ValueError for a number
    that is not finite, and for a name that is no plain word.

    >>> print(data_script("x", "</script>\u2028"), end="")
    globalThis.PACEBENCH ??= { data: {} };
    PACEBENCH.data.x = JSON.parse('"\\u003c/script>\\u2028"');
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of page data; give lower-case words")
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    quoted = text.replace("\\", "\\\\").replace("'", "\\'").replace("<", "\\\\u003c")
    first = "globalThis.PACEBENCH ??= { data: {} };"
    return f"{first}\nPACEBENCH.data.{name} = JSON.parse('{quoted}');\n"
