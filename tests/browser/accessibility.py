"""What axe-core finds wrong with a page that keeps people from using it."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_IMPACTS = ("serious", "critical")


def serious_faults(page: Page, context: str | None = None) -> list[tuple[str, str, str]]:
    """Give rule, explanation and first element of every serious fault; `context` is a selector.

    Axe would load the style sheets a second time, which the page's policy rightly forbids.
    """
    found = Axe().run(page, context=context, options={"preload": False}).response["violations"]
    return [
        (fault["id"], fault["help"], fault["nodes"][0]["html"][:300])
        for fault in found
        if fault["impact"] in _IMPACTS
    ]
