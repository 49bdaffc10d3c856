"""Files that a submission opens: its own folder's, a run's, and others."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, text_of, words
from pacebench.fairplay.weights import BROUGHT, LOADERS
from pacebench.rows import (
    END_FILE,
    FAIRPLAY_FILE,
    LOST_ROWS_FILE,
    META_FILE,
    METRICS_FILE,
    PLAN_FILE,
    ROWS_FILE,
    SPACE_FILE,
    TIMING_FILE,
)

RUN_FILES = frozenset({PLAN_FILE, ROWS_FILE, LOST_ROWS_FILE, METRICS_FILE, TIMING_FILE})
RUN_FILES |= {META_FILE, END_FILE, FAIRPLAY_FILE, SPACE_FILE, "trial.lock", "checkpoint/state.npz"}
OPENERS = words(
    "builtins.open io.open os.open codecs.open gzip.open bz2.open lzma.open zipfile.ZipFile "
    "tarfile.open sqlite3.connect shelve.open pandas.read_csv pandas.read_parquet "
    "pandas.read_pickle os.listdir os.scandir os.walk glob.glob glob.iglob numpy.save numpy.savez "
    "numpy.savez_compressed torch.save jax.numpy.save pickle.dump joblib.dump "
    "flax.training.checkpoints.save_checkpoint"
)
PATH_METHODS = words(
    "read_text read_bytes write_text write_bytes open iterdir glob rglob unlink rename touch mkdir"
)
_PATHS = ("pathlib.Path()", "pathlib.PurePath()", "importlib.resources.files()")
LOOKERS = words(
    "os.stat os.lstat os.readlink os.path.exists os.path.isfile os.path.isdir os.path.getsize "
    "os.path.getmtime shutil.copy shutil.copy2 shutil.copyfile shutil.copytree linecache.getlines "
    "pandas.read_json pkgutil.get_data mmap.mmap"
)
"""Calls that look at a path too: judged where it leads out of the submission's own folder."""
LOOKING_METHODS = words("exists is_file is_dir stat lstat readlink")
_OWN = ("__file__", "__path__", "__package__")
_FAR = 99
"""Steps up that lead out of any folder."""


def find_files(names: Names) -> Iterator[Found]:
    """Go through the files that a file's code opens, and the names of run files in it."""
    for node, scope in names.nodes:
        if isinstance(node, ast.Constant):
            yield from _named(names, node)
        elif isinstance(node, ast.Call):
            yield from _opened(names, node, scope)


def _named(names: Names, node: ast.Constant) -> Iterator[Found]:
    text = text_of(node)
    if text in RUN_FILES or text.rpartition("/")[2] in RUN_FILES:
        yield names.found(node, Rule.RUN_FOLDER, f"names {text!r}", _RUN_FOLDER)
    elif text.startswith("/proc/"):
        reason = "it tells of this process what the trial does not"
        yield names.found(node, Rule.INTERNALS, f"names {text!r}", reason)


def _opened(names: Names, node: ast.Call, scope: Scope) -> Iterator[Found]:
    function = names.dotted(node.func, scope)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if function in OPENERS | LOADERS | LOOKERS:
        path: ast.AST = node.args[0] if node.args else node
        name = function.removeprefix("builtins.")
    elif (
        isinstance(node.func, ast.Attribute)
        and method in PATH_METHODS | LOOKING_METHODS
        and _is_path(names, node.func.value, scope)
    ):
        path, name = node.func.value, method
    else:
        return
    n_up = _climbs(names, path, scope)
    is_look = function in LOOKERS or method in LOOKING_METHODS
    if n_up is None:
        if is_look:
            return
        reason = "a submission's files lie in its own folder (Path(__file__).parent)"
        yield names.found(node, Rule.FILES, f"{name} of another path", reason, Level.WARN)
    elif n_up > names.parsed.n_above + 1:
        yield names.found(node, Rule.RUN_FOLDER, f"{name} outside its own folder", _RUN_FOLDER)
    elif function in LOADERS:
        yield names.found(node, Rule.MEMORISED_WEIGHTS, name, BROUGHT, Level.WARN)
    elif not is_look:
        reason = "its own folder's files are its own"
        yield names.found(node, Rule.FILES, name, reason, Level.ALLOW)


def _is_path(names: Names, node: ast.AST, scope: Scope) -> bool:
    """Whether an expression is made with pathlib or from `__file__`."""
    return any(
        (isinstance(one, ast.Name) and one.id in _OWN)
        or (isinstance(one, ast.Call) and names.dotted(one, where).startswith(_PATHS))
        for one, where in names.values(node, scope)
    )


def _climbs(names: Names, node: ast.AST, scope: Scope) -> int | None:
    """Count the steps up from `__file__` in a path; None if it does not begin there."""
    n, is_own = 0, False
    for one, where in names.values(node, scope):
        if isinstance(one, ast.Name) and one.id in _OWN:
            is_own = True
            n += one.id != "__file__"  # a package's path is its folder
        elif isinstance(one, ast.Attribute) and one.attr in ("parent", "pardir"):
            n += 1
        elif isinstance(one, ast.Attribute) and one.attr == "parents":
            n += 0 if isinstance(names.parents.get(one), ast.Subscript) else _FAR
        elif isinstance(one, ast.Call):
            n += names.dotted(one.func, where) == "os.path.dirname"
        elif isinstance(one, ast.Subscript) and getattr(one.value, "attr", "") == "parents":
            index = one.slice.value if isinstance(one.slice, ast.Constant) else _FAR
            n += index + 1 if isinstance(index, int) and index >= 0 else _FAR
        elif text := text_of(one):
            n += text.split("/").count("..") + (_FAR if text.startswith("/") else 0)
    return n if is_own else None


_RUN_FOLDER = "the trial's folder, and other trials', are not the submission's to read or write"
