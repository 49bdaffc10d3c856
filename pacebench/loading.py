"""Importing a submission's code inside its trial, as a level-2 algorithm of its framework."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from pacebench.backends.base import Algorithm, algorithm_of
from pacebench.errors import SubmissionError
from pacebench.plan import TrialPlan
from pacebench.plugins import resolve
from pacebench.spec import Submission

SOURCE_FOLDER = "source"
MAX_SOURCE_BYTES = 50_000_000
PACKAGE = "pacebench_submission"
"""The package under which a submission's own files are imported."""
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".venv", "runs", "site")

_ADAPTERS = {
    ("make", "torch"): "pacebench.backends.standard_torch:standard_algorithm",
    ("library", "torch"): "pacebench.backends.standard_torch:library_algorithm",
    ("make", "jax"): "pacebench.backends.standard_jax:standard_algorithm",
    ("library", "jax"): "pacebench.backends.standard_jax:library_algorithm",
    ("algoperf", "torch"): "pacebench.compat.torch_adapter:algoperf_algorithm",
    ("algoperf", "jax"): "pacebench.compat.jax_adapter:algoperf_algorithm",
}


def load_algorithm(plan: TrialPlan, folder: Path) -> Algorithm:
    """Import the code that a plan names from the copy in its trial folder.

    Raises SubmissionError if what it finds is no submission; errors of the code itself pass.
    """
    source = folder / SOURCE_FOLDER / plan.source if plan.source else None
    adapter = _ADAPTERS.get((plan.style, plan.framework))
    if plan.style == "library":
        return _called(adapter, resolve(plan.address), plan.address)
    if source is None or not source.exists():
        raise SubmissionError(f"{folder} lacks the submission's code ({source})")
    if plan.style == "algoperf":
        return _called(adapter, source, plan)
    module_name, _, attribute = plan.address.partition(":")
    where = f"{plan.submission} ({plan.address})"
    found: object = import_source(source, module_name)
    for name in filter(None, attribute.split(".")):
        if not hasattr(found, name):
            raise SubmissionError(f"{where}: there is no '{name}' in {module_name}.py")
        found = getattr(found, name)
    return algorithm_of(found, where) if adapter is None else _called(adapter, found, where)


def import_source(source: Path, module_name: str) -> types.ModuleType:
    """Import a module of a submission's folder (or the file itself), relative imports included."""
    folder = source if source.is_dir() else source.parent
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(
            PACKAGE, init, submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[PACKAGE] = package
        spec.loader.exec_module(package)
    else:
        package = types.ModuleType(PACKAGE)
        package.__path__ = [str(folder)]
        sys.modules[PACKAGE] = package
    if not (folder / f"{module_name.replace('.', '/')}.py").is_file():
        raise SubmissionError(f"{folder} has no {module_name}.py")
    return importlib.import_module(f"{PACKAGE}.{module_name}")


def hash_source(submission: Submission) -> str:
    """Give the sha256 of a submission's files (names and bytes), or of a library's address."""
    digest = hashlib.sha256()
    if submission.source is None:
        digest.update(submission.address.encode())
        return digest.hexdigest()
    for path in _files(submission.source):
        digest.update(f"{path.relative_to(submission.source.parent)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def copy_source(submission: Submission, folder: Path) -> None:
    """Copy a submission's code into a trial folder, whole or not at all."""
    if submission.source is None or (folder / SOURCE_FOLDER).exists():
        return
    aside = folder / f"{SOURCE_FOLDER}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    target = aside / submission.source.name
    if submission.source.is_dir():
        shutil.copytree(submission.source, target, ignore=IGNORED)
    else:
        shutil.copy2(submission.source, target)
    aside.rename(folder / SOURCE_FOLDER)


def check_source_size(submission: Submission) -> None:
    """Raise SubmissionError if the code is too large to be copied into every trial."""
    if submission.source is None:
        return
    size = sum(path.stat().st_size for path in _files(submission.source))
    if size > MAX_SOURCE_BYTES:
        raise SubmissionError(
            f"{submission.source} holds {size} bytes; a submission's code may be at most "
            f"{MAX_SOURCE_BYTES}: move data and results out of its folder"
        )


def _files(source: Path) -> Iterator[Path]:
    """Go through the files that `copy_source` copies, in a fixed order."""
    if source.is_file():
        yield source
        return
    entries = sorted(source.iterdir())
    ignored = IGNORED(str(source), [e.name for e in entries])
    for entry in entries:
        if entry.name not in ignored:
            yield from _files(entry)


def _called(adapter: str | None, *arguments: object) -> Algorithm:
    assert adapter is not None
    algorithm: Algorithm = resolve(adapter)(*arguments)
    return algorithm
