"""A submission's files as its readers see them: parsed, or with the reason why not."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pacebench.fairplay.findings import Found, Level, Rule

MAX_FILE_BYTES = 1_000_000
"""A Python file that is larger is not parsed; the largest of the house has 20 kB."""
MAX_TABLE_BYTES = 1_000_000
IGNORED_FOLDERS = frozenset({"__pycache__", ".git", ".venv", "runs", "site"})
"""As `pacebench.loading.IGNORED`: they are not copied into a trial."""
COMPILED_SUFFIXES = (".so", ".pyd", ".dylib", ".dll")
TABLE_SUFFIXES = (".json", ".toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """One Python file."""

    name: str
    """Relative to the submission's folder, with slashes."""
    tree: ast.Module
    n_above: int
    """How many folders lie between the file and the submission's folder."""

    def place(self, node: ast.AST) -> str:
        """Give "file.py:12"."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """All that lies in a submission's folder (or its one file)."""

    parsed: tuple[Parsed, ...]
    tables: tuple[Path, ...]
    """JSON and TOML files small enough to be read."""
    others: tuple[Path, ...]
    """Whatever else lies there."""
    unread: tuple[Found, ...]
    """What could not be read, and why."""


def read_files(source: Path) -> Files:
    """Read a submission's folder or file; whatever lies there, nothing raises."""
    folder = source if source.is_dir() else source.parent
    parsed: list[Parsed] = []
    tables: list[Path] = []
    others: list[Path] = []
    unread: list[Found] = []
    for path in _paths(source):
        name = path.relative_to(folder).as_posix()
        try:
            if not path.is_file():  # a pipe, a device, a link to nowhere
                unread.append(_unread(name, "it is no file that can be read"))
            elif path.suffix == ".py":
                parsed.append(_parse(path, name))
            elif path.suffix in COMPILED_SUFFIXES:
                unread.append(_unread(name, "it is compiled code, whose source nobody sees"))
            elif path.suffix in TABLE_SUFFIXES and path.stat().st_size <= MAX_TABLE_BYTES:
                tables.append(path)
            else:
                others.append(path)
        except _CannotReadError as error:
            unread.append(_unread(name, str(error)))
        except OSError as error:
            unread.append(_unread(name, f"it cannot be read: {error.strerror or error}"))
    return Files(
        parsed=tuple(parsed), tables=tuple(tables), others=tuple(others), unread=tuple(unread)
    )


class _CannotReadError(Exception):
    """Why a Python file was not parsed."""


def _paths(source: Path) -> Iterator[Path]:
    """Go through the files, in order; links to folders are not followed, so there are no rings."""
    if not source.is_dir():
        yield source
        return
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        yield from (Path(folder) / name for name in sorted(files) if not name.endswith(".pyc"))


def _parse(path: Path, name: str) -> Parsed:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise _CannotReadError(f"it has {size} bytes, more than the {MAX_FILE_BYTES} that are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a foreign file's invalid escapes are its own matter
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise _CannotReadError(f"it does not parse: {' '.join(str(error).split())}") from error
    except (RecursionError, MemoryError) as error:
        raise _CannotReadError("it is nested too deeply to be parsed") from error
    return Parsed(name=name, tree=tree, n_above=name.count("/"))


def _unread(name: str, reason: str) -> Found:
    return Found(rule=Rule.UNREAD, place=f"{name}:1", level=Level.WARN, reason=reason)
