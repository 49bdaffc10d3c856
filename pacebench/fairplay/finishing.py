"""When a submission says that it has finished: Finished, or AlgoPerf's TrainingCompleteError."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, words

SIGNALS = ("Finished", "TrainingCompleteError")
STEPS = ("step", "update_params")
GOOD_REASONS = words(
    "evaluations eval_results seconds_left seconds_used step_hint train_state "
    "max_allowed_runtime_sec max_steps has_reached_validation_target is_time_remaining "
    "validation_target_value"
)
"""What an honest end depends on: evaluations seen, the budget, the length of the schedule."""
SEEN = words("evaluations eval_results train_state has_reached_validation_target")
"""With these a small share of the step hint is a guard, and not what the end follows from."""
POINT = words("hparams hyperparameters")
"""A length of the schedule may be a hyperparameter: where the condition itself says so."""
LOSSES = words("@run.loss @run.forward @run.model @workload.loss_fn @workload.model_fn")
EARLY = 0.1
"""The share of the step hint below which an end is too soon, as where trials are observed."""
_RULE = (
    "an end follows from evaluations, the budget or the step hint; it is no means to have an "
    "evaluation when one likes"
)


def find_ends(names: Names) -> Iterator[Found]:
    """Go through the places that raise Finished, and judge what they depend on."""
    signals = _signals(names)
    for node, scope in names.nodes:
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        raised = node.exc.id if isinstance(node.exc, ast.Name) else ""
        raised = names.dotted(node.exc, scope) or raised or getattr(_called(node.exc), "id", "")
        if raised.replace("()", "").rpartition(".")[2] not in signals:
            continue
        level, what = _judge(names, node, scope)
        yield Found(
            rule=Rule.FINISHED,
            place=names.parsed.place(node),
            level=level,
            reason=f"{what}: {_RULE}" if level is not Level.ALLOW else what,
        )


def _signals(names: Names) -> set[str]:
    """Give the names that mean an end: the two, and classes of this file derived from them."""
    signals = set(SIGNALS)
    for node, scope in names.nodes:
        if isinstance(node, ast.ClassDef):
            bases = {names.dotted(base, scope).rpartition(".")[2] for base in node.bases}
            bases |= {getattr(base, "id", "") for base in node.bases}
            signals |= {node.name} if bases & signals else set()
    return signals


def _called(node: ast.AST) -> ast.AST:
    return node.func if isinstance(node, ast.Call) else node


def _judge(names: Names, node: ast.Raise, scope: Scope) -> tuple[Level, str]:
    tests = [(test, scope) for test in _tests(names, node)]
    is_step = bool(set(STEPS) & set(scope.function_names()))
    if not tests and not is_step:
        tests = list(_tests_of_callers(names, scope))
    if tests:
        return _depends_on(names, [(part, s) for test, s in tests for part in _conjuncts(test)])
    if is_step:
        return Level.DENY, "ends without a condition"
    return Level.WARN, "ends in a function whose callers decide"


def _depends_on(names: Names, parts: list[tuple[ast.expr, Scope]]) -> tuple[Level, str]:
    """Judge conditions all of which must hold."""
    used = {word for one in parts for inner, _ in names.values(*one) for word in _words(inner)}
    level, what = Level.WARN, "ends by something of its own"
    if not used & SEEN and any(_is_early(names, *one) for one in parts):
        level, what = Level.DENY, f"ends within the first {EARLY:.0%} of the step hint"
    elif any(_is_low_loss(names, *one) for one in parts):
        level, what = Level.DENY, "ends when its own loss is low enough"
    elif any(_is_of_loss(names, *one) for one in parts):
        what = "ends by its own loss"
    elif used & GOOD_REASONS:
        level, what = Level.ALLOW, f"ends by {', '.join(sorted(used & GOOD_REASONS))}"
    elif _is_written_out(names, parts):
        level, what = Level.DENY, "ends at a step that is written into the code"
    elif used & POINT:
        level, what = Level.ALLOW, "ends by its hyperparameters"
    return level, what


def _is_written_out(names: Names, parts: list[tuple[ast.expr, Scope]]) -> bool:
    """Whether a constant step decides, be a hyperparameter asked for beside it."""
    beside = [one for one in parts if not set(_words_of(one[0])) & POINT]
    return bool(beside) and all(_is_constant_step(names, *one) for one in beside)


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    """Give the conditions all of which must hold."""
    is_and = isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And)
    return test.values if isinstance(test, ast.BoolOp) and is_and else [test]


def _tests_of_callers(names: Names, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
    """Give the conditions around the calls, in this file, of the function around."""
    around = set(scope.function_names())
    for node, where in names.nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in around:
            yield from ((test, where) for test in _tests(names, node))


def _is_of_loss(names: Names, test: ast.expr, scope: Scope) -> bool:
    """Whether a condition asks how large what the model computes in training is."""
    return any(
        isinstance(one, ast.Call) and names.dotted(one.func, where) in LOSSES
        for one, where in names.values(test, scope)
    )


def _is_low_loss(names: Names, test: ast.expr, scope: Scope) -> bool:
    """Whether a condition is that what the model computes in training is below something."""
    if not isinstance(test, ast.Compare):
        return False
    pairs = zip(test.ops, [test.left, *test.comparators], test.comparators, strict=False)
    return any(
        (isinstance(operator, ast.Lt | ast.LtE) and _is_of_loss(names, left, scope))
        or (isinstance(operator, ast.Gt | ast.GtE) and _is_of_loss(names, right, scope))
        for operator, left, right in pairs
    )


def _is_early(names: Names, test: ast.expr, scope: Scope) -> bool:
    """Whether a condition holds a small share of the step hint: a product or a quotient."""
    for one, where in names.values(test, scope):
        if not isinstance(one, ast.BinOp):
            continue
        factor = 1.0
        for side, other in ((one.left, one.right), (one.right, one.left)):
            if not (isinstance(other, ast.Constant) and isinstance(other.value, int | float)):
                continue
            if not names.dotted(side, where).endswith(".step_hint") or not other.value:
                continue
            if isinstance(one.op, ast.Mult):
                factor = other.value
            elif isinstance(one.op, ast.Div | ast.FloorDiv) and side is one.left:
                factor = 1 / other.value
        if factor < EARLY:
            return True
    return False


def _tests(names: Names, node: ast.AST) -> Iterator[ast.expr]:
    """Give the conditions that decide whether a statement is reached, within its function."""
    inner = node
    for around in names.ancestors(node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module):
            yield from _early_returns(around, inner)
            return
        if isinstance(around, ast.If | ast.While | ast.IfExp):
            yield around.test
        elif isinstance(around, ast.Match):
            yield around.subject
        elif isinstance(around, ast.For):
            yield around.iter
        elif isinstance(around, ast.ExceptHandler) and around.type is not None:
            yield around.type
        inner = around


def _early_returns(function: ast.AST, inner: ast.AST) -> Iterator[ast.expr]:
    """Give the conditions under which a function returns before it comes to `inner`."""
    for statement in getattr(function, "body", ()):
        if statement is inner:
            return
        is_left = any(isinstance(part, ast.Return) for part in ast.walk(statement))
        if isinstance(statement, ast.If) and is_left:
            yield statement.test


def _words(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _words_of(node: ast.AST) -> list[str]:
    return [word for one in ast.walk(node) for word in _words(one)]


def _is_constant_step(names: Names, test: ast.expr, scope: Scope) -> bool:
    """Whether a condition compares a count of steps with a number that is written out."""
    nodes = [one for one, _ in names.values(test, scope)]
    has_number = any(isinstance(n, ast.Constant) and isinstance(n.value, int) for n in nodes)
    words = {word for one in nodes for word in _words(one)}
    return has_number and bool(words & {"step", "global_step"})
