"""What the names of a Python file stand for: imports, aliases, and what a trial hands over.

`Names.dotted` gives an expression as one dotted name where that is certain from the file alone:
after `import time as t; clock = t.monotonic`, both `t.monotonic` and `clock` are "time.monotonic";
so is `getattr(t, "monotonic")`. What a trial hands to a submission begins with "@": in
`def step(run, state, batches)` the first argument is "@run". A call's value ends in "()".
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.source import Parsed

MAX_DEPTH = 30
"""Of an expression and the names in it; what is longer is no name that a person wrote."""
HANDED = {
    "run": "@run",
    "batches": "@batches",
    "workload": "@workload",
    "input_queue": "@batches",
    "eval_results": "@history",
    "hparams": "@hparams",
    "hyperparameters": "@hparams",
}
"""Arguments by name: level 1 and 2, and AlgoPerf's functions."""
ENTRIES = {
    "make": ("", "@hparams", "@run"),
    "init": ("@run",),
    "step": ("@run", "", "@batches"),
    "prepare_eval": ("@run", ""),
    "save": ("@run", ""),
    "restore": ("@run", "", ""),
}
"""Arguments by position, of functions at the top of a file that take just as many."""
_BUILTINS = frozenset(dir(builtins))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(slots=True)
class Scope:
    """A module, class or function and the names bound in it."""

    node: ast.AST
    parent: Scope | None
    names: dict[str, list[str | ast.expr]] = field(default_factory=dict)
    """By name all that it is bound to: a dotted name or an expression; "" is anything else."""

    def function_names(self) -> Iterator[str]:
        """Go through the names of the functions around, from the inside."""
        scope: Scope | None = self
        while scope is not None:
            if isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield scope.node.name
            scope = scope.parent

    def find(self, name: str) -> tuple[list[str | ast.expr], Scope] | None:
        """Give what a name is bound to, and where; classes are seen only from themselves."""
        scope: Scope | None = self
        while scope is not None:
            is_visible = scope is self or not isinstance(scope.node, ast.ClassDef)
            if is_visible and name in scope.names:
                return scope.names[name], scope
            scope = scope.parent
        return None


class Names:
    """The names of one file."""

    def __init__(self, parsed: Parsed, others: Mapping[str, Names] | None = None) -> None:
        self.parsed = parsed
        self._others = {} if others is None else others
        self.nodes: list[tuple[ast.AST, Scope]] = []
        """Every node with the scope that its names are looked up in, parents before children."""
        self.parents: dict[ast.AST, ast.AST] = {}
        self._known: dict[tuple[int, str], str] = {}
        self.top = Scope(parsed.tree, None)
        self._walk(parsed.tree)

    def dotted(self, node: ast.AST, scope: Scope, depth: int = 0) -> str:
        """Give an expression as one dotted name, or ""."""
        found = ""
        if depth > MAX_DEPTH:
            return found
        if isinstance(node, ast.Name):
            found = self._name(node.id, scope, depth)
        elif isinstance(node, ast.Attribute):
            base = self.dotted(node.value, scope, depth + 1)
            found = f"{base}.{node.attr}" if base else ""
            found = self._elsewhere(found, depth) or found
        elif isinstance(node, ast.Call):
            found = self._call(node, scope, depth)
        elif isinstance(node, ast.Subscript):
            found = self._subscript(node, scope, depth)
        elif isinstance(node, ast.NamedExpr):
            found = self.dotted(node.value, scope, depth + 1)
        return found

    def found(
        self, node: ast.AST, rule: Rule, what: str, reason: str, level: Level = Level.DENY
    ) -> Found:
        """Give a finding at a node: what is there, and why it matters."""
        place = self.parsed.place(node)
        return Found(rule=rule, place=place, level=level, reason=f"{what}: {reason}")

    def values(self, node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        """Go through the nodes of an expression, and of what the names in it are bound to."""
        seen: set[ast.AST] = set()
        waiting = [(node, scope)]
        while waiting:
            one, where = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            yield one, where
            waiting += [(child, where) for child in ast.iter_child_nodes(one)]
            found = where.find(one.id) if isinstance(one, ast.Name) else None
            if found is not None:
                waiting += [(v, found[1]) for v in found[0] if isinstance(v, ast.expr)]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Go through the nodes around a node, from the inside."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def _name(self, name: str, scope: Scope, depth: int) -> str:
        found = scope.find(name)
        if found is None:
            return f"builtins.{name}" if name in _BUILTINS else ""
        values, where = found
        key = (id(where), name)
        if key not in self._known:
            self._known[key] = ""  # a name that is bound to itself ends here
            meanings = (
                v if isinstance(v, str) else self.dotted(v, where, depth + 1) for v in values
            )
            found_name = next(filter(None, meanings), "")
            self._known[key] = self._elsewhere(found_name, depth) or found_name
        return self._known[key]

    def _elsewhere(self, dotted: str, depth: int) -> str:
        """Give what a name of another file of the submission (".file.name") stands for there."""
        level = len(dotted) - len(dotted.lstrip("."))
        folder = self.parsed.name.split("/")[:-level] if level else []
        parts = [*folder, *dotted.lstrip(".").split(".")]
        for n in range(len(parts) - 1, 0, -1) if level and depth < MAX_DEPTH else ():
            other = self._others.get("/".join(parts[:n]) + ".py")
            if other is not None and other is not self:
                value: ast.expr = ast.Name(parts[n], ast.Load())
                for attribute in parts[n + 1 :]:
                    value = ast.Attribute(value, attribute, ast.Load())
                there = other.dotted(value, other.top, depth + 1)
                return "" if there.startswith(("builtins.", "@")) else there
        return ""

    def _call(self, node: ast.Call, scope: Scope, depth: int) -> str:
        function = self.dotted(node.func, scope, depth + 1)
        words = [text_of(argument) for argument in node.args]
        if function == "builtins.getattr" and len(node.args) >= 2 and words[1]:
            base = self.dotted(node.args[0], scope, depth + 1)
            return f"{base}.{words[1]}" if base else ""
        if function in ("builtins.__import__", "importlib.import_module") and words and words[0]:
            return words[0]
        if function in ("builtins.type", "builtins.vars") and len(node.args) == 1:
            base = self.dotted(node.args[0], scope, depth + 1)
            return f"{base}.{'__class__' if function.endswith('type') else '__dict__'}" * bool(base)
        return f"{function}()" if function else ""

    def _subscript(self, node: ast.Subscript, scope: Scope, depth: int) -> str:
        base, key = self.dotted(node.value, scope, depth + 1), text_of(node.slice)
        if not key:
            return ""
        if base == "sys.modules":
            return key
        owner = base.removesuffix(".__dict__")
        return f"{owner}.{key}" if base and owner != base else ""

    def _walk(self, tree: ast.Module) -> None:
        waiting: list[tuple[ast.AST, Scope]] = [(tree, self.top)]
        while waiting:
            node, scope = waiting.pop()
            self.nodes.append((node, scope))
            _bind(node, scope)
            inner = scope
            if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                inner = Scope(node, scope)
                if isinstance(node, _FUNCTIONS):
                    _bind_arguments(node, inner)
            for child in reversed(list(ast.iter_child_nodes(node))):
                self.parents[child] = node
                waiting.append((child, inner))


def words(text: str) -> frozenset[str]:
    """Give the words of a text as a set: tables of names are easier to read as text."""
    return frozenset(text.split())


def text_of(node: ast.AST) -> str:
    """Give the text of a constant, also of one that is put together from constants, or ""."""
    return _folded(node, 0) or ""


def _folded(node: ast.AST | None, depth: int) -> str | None:
    """Give the text of a constant, a sum, an f-string or a join of constants; None if unknown."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    glue: str | None = ""
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [node.left, node.right]
    elif isinstance(node, ast.JoinedStr):
        parts = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and len(node.args) == 1
    ):
        parts = list(getattr(node.args[0], "elts", ()))
        glue = _folded(node.func.value, depth + 1)
    texts = [_folded(part, depth + 1) if depth < MAX_DEPTH else None for part in parts]
    known = [text for text in texts if text is not None]
    return glue.join(known) if glue is not None and parts and len(known) == len(texts) else None


def _bind(node: ast.AST, scope: Scope) -> None:
    """Note what a statement binds in its scope."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        _bind_imports(node, scope)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            _bind_target(target, node.value, scope)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign):
        _bind_target(node.target, node.value, scope)
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        _bind_target(node.target, node.iter, scope)  # an item of something is taken for it
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        _bind_target(node.optional_vars, node.context_expr, scope)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        _add(scope, node.name, "")
    elif isinstance(node, ast.Global):
        top = scope
        while top.parent is not None:
            top = top.parent
        for name in node.names:
            scope.names[name] = top.names.setdefault(name, [])


def _bind_imports(node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            _add(scope, alias.asname or alias.name, f"{module}.{alias.name}")
        else:
            root = alias.name.partition(".")[0]
            _add(scope, alias.asname or root, alias.name if alias.asname else root)


def _bind_target(target: ast.AST, value: ast.expr | None, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        _add(scope, target.id, "" if value is None else value)
    elif isinstance(target, ast.Starred):
        _bind_target(target.value, None, scope)
    elif isinstance(target, ast.Tuple | ast.List):
        parts: list[ast.expr | None] = [value] * len(target.elts)
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            parts = list(value.elts)
        for part, one in zip(target.elts, parts, strict=True):
            _bind_target(part, one, scope)


def _bind_arguments(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope
) -> None:
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    rest = [*arguments.kwonlyargs, *filter(None, (arguments.vararg, arguments.kwarg))]
    for argument in (*plain, *rest):
        _add(scope, argument.arg, HANDED.get(argument.arg, ""))
    defaults: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(plain[::-1], arguments.defaults[::-1], strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in defaults:
        if default is not None and not isinstance(default, ast.Name):
            _add(scope, argument.arg, default)
    is_top = scope.parent is not None and isinstance(scope.parent.node, ast.Module)
    meant = ENTRIES.get(getattr(node, "name", ""), ())
    if is_top and len(meant) == len(plain):
        for argument, handed in zip(plain, meant, strict=True):
            scope.names[argument.arg] = [handed]


def _add(scope: Scope, name: str, value: str | ast.expr) -> None:
    scope.names.setdefault(name, []).append(value)
