"""Serving a submission's imports of itself under the names of the repository it came from.

Two kinds: `submissions.<…>.<folder>.<module>` (and `submissions_algorithms.<…>`), the path of the
submission in AlgoPerf's submissions repository; and plain names of folders inside the submission
that were roots of the import path there. Both lead to the modules of the submission's own package,
so that every file is imported once, whatever it is called.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

from pacebench.loading import PACKAGE

REPOSITORY_ROOTS = ("submissions", "submissions_algorithms")
"""Top-level folders of AlgoPerf's submissions repository (in 2024 and 2026)."""
N_FOLDER_LEVELS = 3
"""How deep below the submission's folder a root of the import path is looked for."""


class SelfImports(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A finder (for the front of `sys.meta_path`) of one submission's names for itself."""

    def __init__(self, folder: Path) -> None:
        imported = set(_imported_names(folder))
        self._folder = folder
        self._bases = dict(_own_roots(folder, imported))
        self._prefixes = {
            name.rsplit(".", n)[0]
            for name in imported
            if name.partition(".")[0] in REPOSITORY_ROOTS and self.target(name)
            for n in range(1, name.count(".") + 1)
        }
        """Packages above the submission in its repository; they are empty here."""

    def target(self, name: str) -> str | None:
        """Give the module of the submission's package that `name` stands for, if any."""
        root, *parts = name.split(".")
        if root in self._bases:
            return self._module(*self._bases[root], root, *parts)
        if root not in REPOSITORY_ROOTS or not parts:
            return None
        tails = [parts[n:] for n in range(len(parts))]
        if self._folder.name in parts:
            tails.insert(0, parts[parts.index(self._folder.name) + 1 :])
        return next(filter(None, (self._module(*tail) for tail in tails)), None)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (the names say all)
        target: types.ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Give a spec for the submission's own names and for the packages above them."""
        if self.target(fullname) is None and fullname not in self._prefixes:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:  # noqa: ARG002
        """Leave it to Python: the module is replaced when it is executed."""
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """Put the submission's own module in the place of `module`, unless it is a prefix."""
        target = self.target(module.__name__)
        if target is not None:
            sys.modules[module.__name__] = importlib.import_module(target)

    def _module(self, *parts: str) -> str | None:
        exists = _is_module(self._folder.joinpath(*parts))
        return ".".join((PACKAGE, *parts)) if exists else None


def parsed_files(folder: Path) -> Iterator[ast.Module]:
    """Parse the Python files below a folder; those that do not parse are left out."""
    for path in sorted(folder.rglob("*.py")):
        try:
            yield ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue


def _imported_names(folder: Path) -> Iterator[str]:
    """Go through the names of modules, or of attributes of modules, imported absolutely."""
    for tree in parsed_files(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_roots(folder: Path, imported: set[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the roots that nothing installed serves but a folder inside does, and which.

    Of several such folders it is the one that holds most of what is imported by the root's name,
    and of those the one that comes first.
    """
    bases = level = [folder]
    for _ in range(N_FOLDER_LEVELS):
        level = [path for base in level for path in sorted(base.iterdir()) if path.is_dir()]
        bases = bases + level
    roots = {name.partition(".")[0] for name in imported}
    for root in sorted(roots - set(REPOSITORY_ROOTS) - set(sys.modules)):
        if importlib.util.find_spec(root) is not None:
            continue
        names = [name.split(".") for name in imported if name.partition(".")[0] == root]
        found = [(sum(_is_module(base.joinpath(*n)) for n in names), base) for base in bases]
        n_held, best = max(found, key=lambda pair: pair[0])  # the first of equals
        if n_held:
            yield root, best.relative_to(folder).parts


def _is_module(path: Path) -> bool:
    return path.is_dir() or path.with_name(f"{path.name}.py").is_file()
