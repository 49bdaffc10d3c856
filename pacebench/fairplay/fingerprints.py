"""Telling workloads apart by what belongs to one alone: shapes, counts, hints, parameter names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, text_of, words

LARGEST_COMMON_SIZE = 16
"""A size up to this says what kind of parameter it is (a scalar, RGB, a 3x3 kernel), and not of
which workload."""
SHAPES = frozenset({"shape", "shape_tuple"})
COUNTS = frozenset({"numel", "nelement", "param_count", "num_parameters"})
PER_WORKLOAD = words(
    "step_hint batch_size eval_batch_size num_train_examples num_eval_train_examples "
    "num_validation_examples num_test_examples max_allowed_runtime_sec eval_period_time_sec "
    "validation_target_value test_target_value"
)
"""What the trial says of itself that differs between workloads."""
HONEST_TOO = frozenset({"target_metric_name", "loss_type"})
"""An algorithm may ask whether lower is better, or what kind of loss it minimises."""
_HANDED = ("@run.", "@workload.")
_PARAMETERS = ("@run.params", "@run.parameters", "@run.kinds", "@workload.param_shapes")
_REDUCTIONS = {
    "builtins.sum": "a count of parameters",
    "math.prod": "a parameter's size",
    "numpy.prod": "a parameter's size",
    "builtins.max": "a parameter's size",
}
_FORMS = words("builtins.tuple builtins.list builtins.str builtins.sorted")
"""Calls whose value is their argument's in another form."""
_REASON = (
    "one algorithm for all workloads; kind and is_output say what a parameter is, and rules on "
    "sizes may be inequalities"
)


def find_fingerprints(names: Names) -> Iterator[Found]:
    """Go through comparisons with, and lookups by, what tells workloads apart."""
    yield from _ladders(names)
    for node, scope in names.nodes:
        if isinstance(node, ast.Compare):
            yield from _compared(names, node, scope)
        elif isinstance(node, ast.Match):
            yield from _matched(names, node, scope)
        elif isinstance(node, ast.Subscript):
            yield from _looked_up(names, node, node.value, node.slice, scope)
        elif isinstance(node, ast.Call):
            yield from _called(names, node, scope)


def _ladders(names: Names) -> Iterator[Found]:
    """Look for one quantity that is measured against several constants: a table in disguise."""
    steps: dict[tuple[ast.AST, str], dict[float, ast.Compare]] = {}
    for node, scope in names.nodes:
        if not isinstance(node, ast.Compare) or len(node.ops) > 1:
            continue
        for one, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
            what = _tell_tale(names, one, scope)
            if what in PER_WORKLOAD | {"a count of parameters"} and _is_special(other, scope):
                limits = steps.setdefault((scope.node, what), {})
                limits.setdefault(_size(other), node)
    for (_, what), limits in steps.items():
        if len(limits) > 1:
            text = f"measures {what} against {len(limits)} constants"
            (first, *_) = limits.values()
            yield names.found(first, Rule.FINGERPRINT, text, _REASON, Level.WARN)


def _compared(names: Names, node: ast.Compare, scope: Scope) -> Iterator[Found]:
    yield from _between(names, node, scope)
    left = node.left
    for operator, right in zip(node.ops, node.comparators, strict=True):
        for one, other in ((left, right), (right, left)):
            what = _tell_tale(names, one, scope)
            if not what:
                continue
            is_equality = isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn)
            if not _is_special(other, scope):
                continue
            if is_equality:
                level = Level.WARN if what in HONEST_TOO else Level.DENY
                yield names.found(
                    node, Rule.FINGERPRINT, f"compares {what} with a constant", _REASON, level
                )
            elif what == "a count of parameters":
                text = f"compares {what} with a constant"
                yield names.found(node, Rule.FINGERPRINT, text, _REASON, Level.WARN)
        is_asked = isinstance(operator, ast.In | ast.NotIn) and bool(text_of(left))
        if is_asked and names.dotted(right, scope).startswith(_PARAMETERS):
            text = f"asks for a parameter called {text_of(left)!r}"
            yield names.found(node, Rule.FINGERPRINT, text, _REASON, Level.WARN)
        left = right


def _between(names: Names, node: ast.Compare, scope: Scope) -> Iterator[Found]:
    """Look at a < x < b, a range that only one workload may fall into."""
    operands = [node.left, *node.comparators]
    for low, middle, high in zip(operands, operands[1:], operands[2:], strict=False):
        what = _tell_tale(names, middle, scope)
        if what and _is_special(low, scope) and _is_special(high, scope):
            text = f"asks whether {what} lies between two constants"
            yield names.found(node, Rule.FINGERPRINT, text, _REASON, Level.WARN)


def _matched(names: Names, node: ast.Match, scope: Scope) -> Iterator[Found]:
    what = _tell_tale(names, node.subject, scope)
    parts = (part for case in node.cases for part in ast.walk(case.pattern))
    values = [part.value for part in parts if isinstance(part, ast.MatchValue)]
    if what and any(isinstance(v, ast.Attribute) or _is_special(v, scope) for v in values):
        yield names.found(node.subject, Rule.FINGERPRINT, f"matches {what} with constants", _REASON)


def _looked_up(
    names: Names, node: ast.AST, table: ast.expr, key: ast.expr, scope: Scope
) -> Iterator[Found]:
    """Look at TABLE[key], where the table is written out with constants as its keys."""
    what = _tell_tale(names, key, scope)
    if not what:
        return
    value: ast.AST | None = table
    if isinstance(table, ast.Name):
        found = scope.find(table.id)
        value = next((v for v in found[0] if isinstance(v, ast.Dict)), None) if found else None
    if isinstance(value, ast.Dict) and any(_is_constant(k) for k in value.keys if k is not None):
        yield names.found(node, Rule.FINGERPRINT, f"looks {what} up in a table", _REASON)


def _called(names: Names, node: ast.Call, scope: Scope) -> Iterator[Found]:
    """Look at TABLE.get(key) and at hashes of shapes."""
    if not node.args:
        return
    function = names.dotted(node.func, scope)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        yield from _looked_up(names, node, node.func.value, node.args[0], scope)
    is_hash = function == "builtins.hash" or function.startswith(("hashlib.", "zlib.", "binascii."))
    inner = names.values(node.args[0], scope) if is_hash else ()
    if any(_mentions_shape(names, one, where) for one, where in inner):
        yield names.found(
            node, Rule.FINGERPRINT, "hashes shapes, names or counts of parameters", _REASON
        )


def _mentions_shape(names: Names, node: ast.AST, scope: Scope) -> bool:
    is_named = isinstance(node, ast.Attribute) and node.attr in SHAPES | COUNTS | PER_WORKLOAD
    return is_named or names.dotted(node, scope).startswith((*_PARAMETERS, "@run.workload"))


def _tell_tale(names: Names, node: ast.AST, scope: Scope) -> str:
    """Say what an expression is, if it tells workloads apart; "" if not."""
    seen: set[ast.AST] = set()  # a name may be bound to a form of itself
    waiting = [(node, scope)]
    while waiting:
        inner, where = waiting.pop()
        if inner in seen:
            continue
        seen.add(inner)
        if isinstance(inner, ast.Name):
            waiting += _meanings(inner, where)
        elif isinstance(inner, ast.Call) and names.dotted(inner.func, where) in _FORMS:
            waiting += [(argument, where) for argument in inner.args[:1]]
        elif isinstance(inner, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            waiting.append((inner.elt, where))
        elif what := _told_by(names, inner, where):
            return what
    return ""


def _told_by(names: Names, node: ast.AST, scope: Scope) -> str:
    """Say the same of an expression that is no name and no other form of one."""
    if isinstance(node, ast.Attribute):
        dotted = names.dotted(node, scope)
        if node.attr in PER_WORKLOAD | HONEST_TOO and dotted.startswith(_HANDED):
            return node.attr
        if node.attr in SHAPES:
            return "a parameter's shape"
    if isinstance(node, ast.Subscript):
        whole = node.value
        if isinstance(whole, ast.Attribute) and whole.attr in SHAPES:
            return "a parameter's size"
    return _counted(names, node, scope) if isinstance(node, ast.Call) else ""


def _counted(names: Names, node: ast.Call, scope: Scope) -> str:
    function = names.dotted(node.func, scope)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if method in COUNTS:
        return "a parameter's size"
    if method == "size":
        return "a parameter's size" if node.args else "a parameter's shape"
    if function == "builtins.len" and node.args:
        is_ours = names.dotted(node.args[0], scope).startswith(_PARAMETERS)
        return "a count of parameters" if is_ours else ""
    sizes = names.values(node.args[0], scope) if function in _REDUCTIONS and node.args else ()
    return _REDUCTIONS[function] if any(_is_size(one) for one, _ in sizes) else ""


def _is_size(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and (node.attr in SHAPES | COUNTS or node.attr == "size")


def _meanings(name: ast.Name, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    """Give what a name is bound to, but for other names."""
    found = scope.find(name.id)
    if found is not None:
        for value in found[0]:
            if isinstance(value, ast.expr) and not isinstance(value, ast.Name):
                yield value, found[1]


def _is_special(node: ast.AST, scope: Scope) -> bool:
    """Whether a constant (or a container of them) says more than what kind of thing it is."""
    seen: set[ast.AST] = set()
    waiting = [(node, scope)]
    while waiting:
        one, where = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if (_is_number(one) and _size(one) > LARGEST_COMMON_SIZE) or text_of(one):
            return True
        if isinstance(one, ast.Name):
            waiting += _meanings(one, where)
        else:
            waiting += [(part, where) for part in _members(one)]
    return False


def _members(node: ast.AST) -> Sequence[ast.AST]:
    """Give the keys of a dict, the items of another container, the arguments of a call."""
    if isinstance(node, ast.Dict):
        return [key for key in node.keys if key is not None]
    if isinstance(node, ast.Set | ast.List | ast.Tuple):
        return node.elts
    return node.args if isinstance(node, ast.Call) else []


def _is_number(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    )


def _size(node: ast.AST) -> float:
    value = getattr(node, "value", 0)
    return abs(value) if isinstance(value, int | float) else 0


def _is_constant(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple):
        return bool(node.elts) and all(_is_constant(part) for part in node.elts)
    return _is_number(node) or bool(text_of(node))
