"""Telling workloads apart by name: branches, lookups and tables."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, text_of, words
from pacebench.fairplay.weights import BROUGHT, MAX_NUMBERS
from pacebench.fairplay.writes import MUTATORS

FREE_FUNCTION = "get_batch_size"
"""The function of AlgoPerf's in which a batch size may depend on the workload's name."""
METADATA = ("submission.toml", "tuning_search_space.json")
NAMES_OF_WORKLOAD = ("@run.workload", "@workload.name", "@workload.workload_name")
_KINDS = words(
    "@workload.__class__ @run.model.__class__ @run.model.__module__ @run.model._get_name"
)
_TEXTS = ("builtins.str()", "builtins.repr()", "builtins.format()")
_LOGGING = ("builtins.print", "builtins.ValueError", "builtins.RuntimeError", "logging", "warnings")
_LOG_METHODS = frozenset({"log", "debug", "info", "warning", "error", "exception", "critical"})
_TAKES_A_KEY = frozenset({"get", "pop", "setdefault", "index", "__getitem__", "__contains__"})


def find_names(names: Names, workloads: Collection[str]) -> Iterator[Found]:
    """Go through branches on a workload's name, and tables by it, outside `get_batch_size`."""
    for node, scope in names.nodes:
        if FREE_FUNCTION in scope.function_names():
            yield from _kept(names, node, scope)
            continue
        if isinstance(node, ast.Attribute | ast.Name | ast.Call):
            yield from _uses_of_name(names, node, scope)
        if isinstance(node, ast.Compare):
            yield from _compared(names, node, workloads)
        elif isinstance(node, ast.MatchValue) and _named(node.value, workloads):
            text = f"has a case for {text_of(node.value)!r}"
            yield names.found(node.value, Rule.WORKLOAD_NAME, text, _NAME)
        elif isinstance(node, ast.Dict | ast.Call):
            yield from _table(names, node, scope, workloads)


def _kept(names: Names, node: ast.AST, scope: Scope) -> Iterator[Found]:
    """Look at what `get_batch_size` leaves behind: globals, and items or fields of them."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        what = f"{FREE_FUNCTION} assigns {node.names[0]}, which is not its own"
    elif isinstance(node, ast.Subscript | ast.Attribute) and _is_changed(names, node):
        owner: ast.AST = node
        while isinstance(owner, ast.Subscript | ast.Attribute):
            owner = owner.value
        found = scope.find(owner.id) if isinstance(owner, ast.Name) else None
        if found is None or isinstance(found[1].node, ast.FunctionDef):
            return
        what = f"{FREE_FUNCTION} changes {getattr(owner, 'id', '')}, which is not its own"
    else:
        return
    yield names.found(node, Rule.WORKLOAD_NAME, what, _NAME)


def _is_changed(names: Names, node: ast.Subscript | ast.Attribute) -> bool:
    """Whether this is assigned, deleted, or a method called that changes its object."""
    call = names.parents.get(node)
    is_mutator = isinstance(node, ast.Attribute) and node.attr in MUTATORS
    is_called = isinstance(call, ast.Call) and call.func is node
    return (is_mutator and is_called) or not isinstance(node.ctx, ast.Load)


def _uses_of_name(names: Names, node: ast.expr, scope: Scope) -> Iterator[Found]:
    """Judge a place where the workload's name (or its class) is read, by what it is used for."""
    dotted = names.dotted(node, scope)
    is_read = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
    if isinstance(node, ast.Call) and dotted in _TEXTS and len(node.args) == 1:
        dotted = names.dotted(node.args[0], scope)  # str(run.model) tells which model it is
        is_read = dotted in ("@run.model", "@workload")
        if is_read:
            level, what = _purpose(names, node, scope)
            if isinstance(names.parents.get(node), ast.Assign):
                level, what = Level.WARN, "keeps the model's description"
            if level is not Level.ALLOW:
                yield names.found(node, Rule.WORKLOAD_NAME, what, _NAME, level)
        return
    if not is_read or not dotted.startswith((*NAMES_OF_WORKLOAD, *_KINDS)):
        return
    parent = names.parents.get(node)
    if isinstance(parent, ast.Attribute):
        return  # judged with the attribute
    if dotted not in {*NAMES_OF_WORKLOAD, *_KINDS}:  # run.workload.startswith(...)
        if not isinstance(node, ast.Call):
            yield names.found(node, Rule.WORKLOAD_NAME, f"computes {dotted[1:]}", _NAME)
        return
    level, what = _purpose(names, node, scope)
    if level is not Level.ALLOW:
        yield names.found(node, Rule.WORKLOAD_NAME, what, _NAME, level)


def _purpose(names: Names, node: ast.expr, scope: Scope) -> tuple[Level, str]:
    """Tell what an expression's value is used for: a message, a branch, a lookup."""
    for around in names.ancestors(node):
        if isinstance(around, ast.JoinedStr | ast.FormattedValue | ast.BinOp | ast.keyword):
            continue
        if isinstance(around, ast.Compare | ast.Match | ast.Subscript | ast.If | ast.IfExp):
            return Level.DENY, "branches on, or looks up, the workload's name"
        if isinstance(around, ast.Call):
            if not _makes_text(names, around, scope):
                return _called_with(names, around, scope)
        elif isinstance(around, ast.Raise | ast.Expr | ast.Assert):
            return Level.ALLOW, ""
        else:  # of an alias the uses are judged
            is_alias = isinstance(around, ast.Assign | ast.AnnAssign) and around.value is node
            return (Level.ALLOW, "") if is_alias else (Level.WARN, "keeps the workload's name")
    return Level.ALLOW, ""


def _makes_text(names: Names, call: ast.Call, scope: Scope) -> bool:
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    is_text = names.dotted(call.func, scope) in ("builtins.str", "builtins.repr")
    return is_text or method == "format"


def _called_with(names: Names, call: ast.Call, scope: Scope) -> tuple[Level, str]:
    """Tell what a call does with the workload's name."""
    function = names.dotted(call.func, scope)
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if (is_method and name in _TAKES_A_KEY) or function == "builtins.getattr":
        return Level.DENY, "looks up the workload's name"
    is_log = function.startswith(_LOGGING) or (is_method and name in _LOG_METHODS)
    if is_log or name == FREE_FUNCTION:
        return Level.ALLOW, ""
    return Level.WARN, "passes the workload's name on"


def _compared(names: Names, node: ast.Compare, workloads: Collection[str]) -> Iterator[Found]:
    sides = [node.left, *node.comparators]
    constants = [c for side in sides for c in (side, *getattr(side, "elts", ()))]
    for constant in constants:
        if _named(constant, workloads):
            text = f"compares with {text_of(constant)!r}"
            yield names.found(constant, Rule.WORKLOAD_NAME, text, _NAME)
            return


def _table(
    names: Names, node: ast.Dict | ast.Call, scope: Scope, workloads: Collection[str]
) -> Iterator[Found]:
    """Look at a dict (or a call of dict) with a workload's name among its keys."""
    if isinstance(node, ast.Dict):
        keys = [text_of(key) for key in node.keys if key is not None]
        keys += [text_of(k) for v in node.values for k in getattr(v, "keys", ()) if k is not None]
    elif names.dotted(node.func, scope) == "builtins.dict":
        keys = [keyword.arg or "" for keyword in node.keywords]
    else:
        return
    named = sorted({key for key in keys if key in workloads})
    if not named:
        return
    what = f"a table by workload ({', '.join(named[:3])})"
    uses = _readers(names, node)
    if uses and all(FREE_FUNCTION in use.function_names() for use in uses):
        reason = f"read in {FREE_FUNCTION} alone, where it may be"
        yield names.found(node, Rule.WORKLOAD_TABLE, what, reason, Level.ALLOW)
    elif not any(isinstance(a, ast.Dict) for a in names.ancestors(node)):
        yield names.found(node, Rule.WORKLOAD_TABLE, what, _TABLE)


def _readers(names: Names, node: ast.AST) -> list[Scope]:
    """Give the scopes that read the name which a table is assigned to."""
    targets: list[ast.expr] = []
    for around in names.ancestors(node):
        if isinstance(around, ast.Assign):
            targets = around.targets
        elif isinstance(around, ast.AnnAssign):
            targets = [around.target]
        elif isinstance(around, ast.stmt):
            break
    ids = {target.id for target in targets if isinstance(target, ast.Name)}
    return [
        scope
        for other, scope in names.nodes
        if isinstance(other, ast.Name) and other.id in ids and isinstance(other.ctx, ast.Load)
    ]


def find_tables_in_file(path: Path, name: str, workloads: Collection[str]) -> Iterator[Found]:
    """Look for workload names among the keys of a JSON or TOML file that is not metadata."""
    if name in METADATA:
        return
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError):
        return  # nothing that a submission could read as such
    if (n := _n_numbers(content)) > MAX_NUMBERS:
        yield Found(
            rule=Rule.MEMORISED_WEIGHTS,
            place=f"{name}:1",
            level=Level.WARN,
            reason=f"{n} numbers in a file: {BROUGHT}",
        )
    named = sorted({key for key in _keys(content) if key in workloads})
    if named:
        yield Found(
            rule=Rule.WORKLOAD_TABLE,
            place=f"{name}:1",
            level=Level.DENY,
            reason=f"a table by workload ({', '.join(named[:3])}): {_TABLE}",
        )


def _n_numbers(content: Any) -> int:
    waiting, n = [content], 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping | list):
            waiting += value.values() if isinstance(value, Mapping) else value
        n += isinstance(value, int | float)
    return n


def _keys(content: Any) -> Iterator[str]:
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield from value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _named(node: ast.AST, workloads: Collection[str]) -> bool:
    return text_of(node) in workloads


_NAME = "one algorithm for all workloads; only a batch size may follow the name"
_TABLE = (
    "one algorithm for all workloads; batch sizes belong under [batch_size] in submission.toml, or "
    f"into {FREE_FUNCTION}"
)
