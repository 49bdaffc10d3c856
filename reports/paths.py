"""Where things lie in a website: every path is safe, whatever the names are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def safe_name(text: str) -> str:
    """Give a file name for another's text: itself if it is harmless, else cleaned and hashed.

    >>> safe_name("adamw-1.0"), safe_name("../../x")
    ('adamw-1.0', 'x-9cdf6a50')
    """
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", text[:100]).lstrip("._")[:60]
    if clean == text and clean.lower() not in ("", "index"):
        return text
    return (
        f"{clean or 'name'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def is_plain_file(path: Path) -> bool:
    """Whether a path is a file itself, and no link, pipe or folder."""
    return path.is_file() and not path.is_symlink()


def workload_page_path(workload: str) -> str:
    """Give the path of a workload's page."""
    return f"workloads/{safe_name(workload)}.html"


def submission_page_path(submission: str) -> str:
    """Give the path of a submission's page."""
    return f"submissions/{safe_name(submission)}.html"


def curves_path(workload: str) -> str:
    """Give the path of a workload's learning curves as page data."""
    return f"data/curves-{safe_name(workload)}.js"


def figure_path(workload: str, x: str) -> str:
    """Give the path of the picture of a workload's learning curves over `x`, "time" or "step"."""
    return f"figures/{safe_name(workload)}-{x}.svg"


def board_folder(rules: str, ruleset: str) -> str:
    """Give the folder of a leaderboard that is not the website's first one."""
    return safe_name(f"{rules}_{ruleset}")


def trial_path(trial: Mapping[Any, Any]) -> str:
    """Give the folder of a trial's copies below a leaderboard's, laid out as a folder of runs.

    Logs are read by the names of their folders, so that of the workload stays as it is there.
    """
    found = Path(trial["folder"]).parent.name
    usual = f"{trial['workload']}_{trial['framework']}"
    return "/".join(
        (
            "trials",
            safe_name(trial["rules"]),
            safe_name(f"{trial['ruleset']}_tuning"),
            safe_name(trial["submission"]),
            f"study_{trial['study']}",
            safe_name(found if found.startswith(f"{trial['workload']}_") else usual),
            f"trial_{trial['trial']}",
        )
    )
