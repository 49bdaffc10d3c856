"""How far a preparation is, over all its stages."""

from __future__ import annotations

from dataclasses import dataclass

from pacebench.spec import Report


@dataclass(kw_only=True, slots=True)
class Progress:
    """Tells how much is done, in bytes read."""

    report: Report
    total_bytes: int
    done_bytes: int = 0

    def tell(self, what: str, position: int) -> None:
        """Report a position in what is being read now."""
        done = self.done_bytes + position
        self.report(what, done, max(done, self.total_bytes))
