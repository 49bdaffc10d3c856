"""Puts a whole website in its folder at once, and never over anything that is not ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pacebench.errors import StoreError
from pacebench.rows import SITE_MARKER

Content = str | bytes | Path
"""Of a file in a website: its text, its bytes, or the path of a file to copy."""

_FIRST_LINE = "A website written by pacebench; replaced by the next report. Its files:"


def replace_site(out: Path, files: Mapping[str, Content]) -> None:
    """Make `out` hold exactly `files`: relative path -> text, bytes, or the path of a file to
    copy.

    The old site stays until the new one is complete. Raises StoreError, and changes nothing, if
    `out` is a file, or holds anything but a site of ours.
    """
    out = out.resolve()
    _check_is_ours(out)
    new, old = (out.with_name(f".{out.name}.{word}-{os.getpid()}") for word in ("new", "old"))
    try:
        for name, content in sorted({**files, SITE_MARKER: _manifest(files)}.items()):
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:  # half characters, which names of files can hold, cannot be written
                path.write_bytes(content.encode("utf-8", "replace"))
        if out.exists():
            out.rename(old)
        new.rename(out)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _manifest(files: Mapping[str, Content]) -> str:
    return "\n".join([_FIRST_LINE, *sorted(files), ""])


def _check_is_ours(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise StoreError(f"{out} is a file; give --out a folder")
    found = {
        Path(here, name).relative_to(out).as_posix()
        for here, _, names in os.walk(out)
        for name in names
    }
    if not found:
        return
    if SITE_MARKER not in found:
        raise StoreError(
            f"{out} holds files and is no website of ours; give --out a new or empty folder"
        )
    listed = (out / SITE_MARKER).read_text(encoding="utf-8").splitlines()[1:]
    strange = sorted(found - {*listed, SITE_MARKER})
    if strange:
        raise StoreError(
            f"{out} holds {strange[0]}, which is not part of the website there and would be lost; "
            "move it away or give --out another folder"
        )
