"""Fills the templates; whatever others wrote is escaped, and made visible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import values
from scoring.text import printable


def environment() -> Environment:
    """Give the templates with their filters."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": values.number,
        "short": values.short,
        "soft": _soft,
        "counted": values.counted,
        "fixed": _fixed,
    }
    return made


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def _soft(text: str, limit: int = values.N_CHARACTERS_OF_A_NAME) -> Markup:
    """Give a name shortened as `values.short` does, which may break after _ and /."""
    shown = str(escape(values.short(text, limit)))
    return Markup(shown.replace("_", "_<wbr>").replace("/", "/<wbr>"))


def _visible(value: Any) -> Any:
    """Replace what cannot be seen in a text; what is already markup was made from such texts."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value, keep="\n\t") if is_text else value


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a leaderboard lies among those of its website."""

    folder: str
    """"" for the first one, else the name of its folder and a slash."""
    boards: tuple[tuple[str, str], ...]
    """Name and first page of every leaderboard."""

    def addresses(self, depth: int) -> dict[str, Any]:
        """Give what a page `depth` folders below the leaderboard's folder needs to link others.

        `root` leads to that folder and `top` to the website's.
        """
        root = "../" * depth
        first = f"{self.folder}index.html"
        return {
            "root": root,
            "top": root + ("../" if self.folder else ""),
            "boards": [
                {"name": name, "path": path, "is_this": path == first} for name, path in self.boards
            ],
        }
