"""Finding workloads and submissions by name, without importing any submission."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import pkgutil
import re
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pacebench.batch_scaling import read_batch_size
from pacebench.errors import SubmissionError, unknown_name
from pacebench.spec import FRAMEWORKS, Submission, Workload

Style = Literal["make", "algorithm"]
ENTRY_POINTS = "pacebench"
METADATA_FILE = "submission.toml"
ALGOPERF_FILE = "submission.py"
ALGOPERF_SPACE_FILE = "tuning_search_space.json"
MAX_METADATA_BYTES = 1_000_000
_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}")
_METADATA_KEYS = {
    "name",
    "description",
    "authors",
    "paper",
    "licence",
    "search_space",
    "self_tuning",
    "batch_size",
    *FRAMEWORKS,
}


def resolve(address: str) -> Any:
    """Give the attribute at "module:attr"; raises SubmissionError if there is none."""
    module_name, _, attribute = address.partition(":")
    try:
        value = importlib.import_module(module_name)
        for name in attribute.split("."):
            value = getattr(value, name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name.split(".", maxsplit=1)[0]):
            raise
        raise SubmissionError(f"cannot find {address}: {error}; is it installed?") from error
    except AttributeError as error:
        raise SubmissionError(f"cannot find {address}: {error}") from error
    return value


def all_workloads() -> dict[str, Workload]:
    """Give every workload by name, in the order of the folders."""
    package = importlib.import_module("workloads")
    found: dict[str, Workload] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.ispkg:
            module = importlib.import_module(f"workloads.{info.name}")
            found |= {workload.name: workload for workload in module.WORKLOADS}
    return found


def find_workload(name: str) -> Workload:
    """Give a workload; raises UnknownNameError with a suggestion."""
    known = all_workloads()
    if name not in known:
        raise unknown_name("workload", name, known)
    return known[name]


def workloads_in_suite(suite: str) -> list[Workload]:
    """Give the workloads of a suite; raises UnknownNameError if no workload is in it."""
    workloads = all_workloads().values()
    if suite not in {s for w in workloads for s in w.suites}:
        raise unknown_name("suite", suite, {s for w in workloads for s in w.suites})
    return [w for w in workloads if suite in w.suites]


def installed_submissions() -> dict[str, Submission]:
    """Give the built-ins and installed plugins by name (entry-point group `pacebench`).

    An entry point's value is a package whose folder holds submission.toml; it is not imported.
    A plugin that is broken is left out with a warning, so that it stops no other.
    """
    found: dict[str, Submission] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            submissions = _read_package(entry.value)
        except SubmissionError as error:
            _LOGGER.warning("installed plugin '%s' is left out: %s", entry.name, error)
            continue
        found |= {submission.name: submission for submission in submissions}
    return dict(sorted(found.items()))


def _read_package(name: str) -> list[Submission]:
    """Give the submissions of an installed package without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SubmissionError(f"{name} is no package here; reinstall or uninstall it")
    return read_folder(Path(next(iter(spec.submodule_search_locations))))


def find_submission(named: str, space: Any = None) -> Submission:
    """Give the submission that a folder, file, name or "module:Class" names.

    "NAME=…" gives it another name. `space` (parsed JSON or TOML) replaces its search space.
    Raises SubmissionError or UnknownNameError that says what to do.
    """
    path = Path(named)
    name, sign, rest = named.partition("=")
    if sign and not path.exists():
        return replace(find_submission(rest, space), name=_checked_name(name, path))
    if path.is_dir():
        submission = read_folder(path.resolve())[0]
    elif path.is_file():
        submission = _read_file(path.resolve())
    elif ":" in named:
        submission = _library_class(named)
    else:
        installed = installed_submissions()
        if named not in installed:
            if "/" in named or named.endswith(".py"):
                raise SubmissionError(f"no such file or folder: {named}")
            raise unknown_name("submission", named, installed)
        submission = installed[named]
    return submission if space is None else replace(submission, search_space=space)


def read_folder(folder: Path) -> list[Submission]:
    """Give the submissions of a plugin's folder, one per framework; the first has the plain name.

    A folder without submission.toml but with submission.py is an AlgoPerf submission.
    """
    if (folder / METADATA_FILE).is_file():
        return _from_metadata(folder, _read_toml(folder / METADATA_FILE))
    if (folder / ALGOPERF_FILE).is_file():
        return [_algoperf(folder, folder / ALGOPERF_FILE)]
    raise SubmissionError(
        f"{folder} holds neither {METADATA_FILE} nor {ALGOPERF_FILE}; "
        "`pacebench new NAME` writes a plugin that runs as it is"
    )


def framework_of(paths: Iterable[Path]) -> str:
    """Give the framework that Python files import; raises SubmissionError if none or both."""
    roots: set[str] = set()
    for path in paths:
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            raise SubmissionError(f"{path} does not parse: {error}") from error
        roots |= {name.split(".", maxsplit=1)[0] for name in imported_names(tree)}
    found = [f for f, names in _FRAMEWORK_ROOTS.items() if roots & names]
    if len(found) != 1:
        raise SubmissionError(
            f"cannot tell the framework of {', '.join(str(p) for p in paths) or 'it'}: it imports "
            f"{' and '.join(found) or 'neither torch nor jax'}; say so in {METADATA_FILE}"
        )
    return found[0]


_FRAMEWORK_ROOTS = {"torch": {"torch"}, "jax": {"jax", "optax", "flax"}}


def imported_names(tree: ast.AST) -> set[str]:
    """Give the dotted names of all modules that a parsed file imports absolutely."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def _from_metadata(folder: Path, raw: dict[str, Any]) -> list[Submission]:
    where = folder / METADATA_FILE
    for key in raw:
        if key not in _METADATA_KEYS:
            raise SubmissionError(f"{where}: {unknown_name('key', key, _METADATA_KEYS)}")
    name = _checked_name(raw.get("name", folder.name), where)
    tables = [(f, raw[f]) for f in raw if f in FRAMEWORKS]
    if not tables:
        raise SubmissionError(
            f'{where} names no code: add a table [torch] or [jax] with make = "file:function"'
        )
    found: list[Submission] = []
    for framework, table in tables:
        style, address = _entry(table, framework, where)
        full_name = name if not found else f"{name}_{framework}"
        found.append(
            Submission(
                name=full_name,
                framework=framework,
                style=style,
                source=folder,
                address=address,
                **_description(raw, where),
            )
        )
    return found


def _entry(table: Any, framework: str, where: Path) -> tuple[Style, str]:
    styles: tuple[Style, ...] = ("make", "algorithm")
    if not isinstance(table, dict) or len(table) != 1 or not set(table) <= set(styles):
        raise SubmissionError(
            f'{where}: [{framework}] must hold exactly one of make = "file:function" (an '
            'optimizer) or algorithm = "file" (init and step)'
        )
    ((style, address),) = table.items()
    if not isinstance(address, str) or not address:
        raise SubmissionError(f'{where}: {style} must be text like "file:function"')
    return style, address


def _description(raw: dict[str, Any], where: Path) -> dict[str, Any]:
    """Check what metadata says beside the code; gives the fields of a Submission."""
    authors = raw.get("authors", [])
    if not isinstance(authors, list) or not all(isinstance(a, str) for a in authors):
        raise SubmissionError(f"{where}: authors must be a list of texts")
    texts = {key: raw.get(key, "") for key in ("description", "paper", "licence")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise SubmissionError(f"{where}: {key} must be a text")
    sizes, scaling = read_batch_size(raw.get("batch_size", {}), str(where))
    return {
        "search_space": raw.get("search_space"),
        "self_tuning": raw.get("self_tuning"),
        "batch_sizes": sizes,
        "learning_rate_scaling": scaling,
        "authors": tuple(authors),
        **texts,
    }


def _read_file(path: Path) -> Submission:
    """A single Python file, with its metadata in a .toml of the same name beside it, if any."""
    if path.suffix != ".py":
        raise SubmissionError(f"{path} is not a Python file; name a .py file or a folder")
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise SubmissionError(f"{path} does not parse: {error}") from error
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    if "update_params" in functions:
        return _algoperf(path.parent, path)
    metadata = path.with_suffix(".toml")
    raw = _read_toml(metadata) if metadata.is_file() else {}
    framework = framework_of([path])
    style: Style
    if "make" in functions:
        style, address = "make", f"{path.stem}:make"
    elif {"init", "step"} <= functions:
        style, address = "algorithm", path.stem
    else:
        raise SubmissionError(
            f"{path} defines neither make(params, hparams, run), nor init and step, nor "
            "AlgoPerf's update_params"
        )
    name = _checked_name(raw.get("name", path.stem), path)
    return Submission(
        name=name,
        framework=framework,
        style=style,
        source=path,
        address=address,
        **_description(raw, metadata),
    )


def _algoperf(folder: Path, path: Path) -> Submission:
    space_file = folder / ALGOPERF_SPACE_FILE
    space = None
    if space_file.is_file():
        try:
            space = json.loads(space_file.read_bytes())
        except ValueError as error:
            raise SubmissionError(f"{space_file} is not valid JSON: {error}") from error
    name = folder.name if path.name == ALGOPERF_FILE else path.stem
    return Submission(
        name=_checked_name(name, path),
        framework=framework_of([path]),
        style="algoperf",
        source=folder,
        address=path.stem,
        search_space=space,
        # AlgoPerf's tree says the ruleset; a space in its folder of self-tuning ones is not read.
        self_tuning={} if space is None or "self_tuning" in folder.parts else None,
    )


def _library_class(named: str) -> Submission:
    module_name, _, attribute = named.partition(":")
    root = module_name.split(".", maxsplit=1)[0]
    try:
        spec = importlib.util.find_spec(root) if root else None
    except ValueError:
        spec = None
    if spec is None or spec.origin is None or not attribute:
        raise SubmissionError(
            f"cannot find {named}: no module '{root}' is installed; a library's class is named "
            "like torch.optim:AdamW or optax:lion"
        )
    is_known = [f for f, roots in _FRAMEWORK_ROOTS.items() if root in roots]
    folder = Path(spec.origin).parent
    framework = is_known[0] if is_known else framework_of(sorted(folder.glob("*.py")))
    return Submission(
        name=_checked_name(named.replace(":", "."), Path(named)),
        framework=framework,
        style="library",
        source=None,
        address=named,
        self_tuning={},
        description=f"{named}, as the library gives it",
    )


def _read_toml(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_METADATA_BYTES:
        raise SubmissionError(f"{path} is larger than {MAX_METADATA_BYTES} bytes; shorten it")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{path} is not valid TOML: {error}") from error


def _checked_name(name: Any, where: Path) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SubmissionError(
            f"{where}: the name {str(name)[:100]!r} cannot be a submission's; use at most 80 "
            "letters, digits and the signs _ . + - (the first a letter or digit)"
        )
    return name
