"""When a submission says that it has finished: Finished, or AlgoPerf's TrainingCompleteError."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, words

SIGNALS = ("Finished", "TrainingCompleteError")
STEPS = ("step", "update_params")
GOOD_REASONS = words(
    "evaluations eval_results seconds_left seconds_used step_hint train_state hparams "
    "hyperparameters max_allowed_runtime_sec max_steps has_reached_validation_target "
    "is_time_remaining validation_target_value"
)
"""What an honest end depends on: evaluations seen, the budget, the length of the schedule."""
_RULE = (
    "an end follows from evaluations, the budget or the step hint; it is no means to have an "
    "evaluation when one likes"
)


def find_ends(names: Names) -> Iterator[Found]:
    """Go through the places that raise Finished, and judge what they depend on."""
    for node, scope in names.nodes:
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if names.dotted(raised, scope).rpartition(".")[2] not in SIGNALS:
            continue
        level, what = _judge(names, node, scope)
        yield Found(
            rule=Rule.FINISHED,
            place=names.parsed.place(node),
            level=level,
            reason=f"{what}: {_RULE}" if level is not Level.ALLOW else what,
        )


def _judge(names: Names, node: ast.Raise, scope: Scope) -> tuple[Level, str]:
    tests = list(_tests(names, node))
    if not tests:
        is_step = bool(set(STEPS) & set(scope.function_names()))
        return (
            (Level.DENY, "ends without a condition")
            if is_step
            else (Level.WARN, "ends in a function whose callers decide")
        )
    words = {word for test in tests for one, _ in names.values(test, scope) for word in _words(one)}
    if words & GOOD_REASONS:
        return Level.ALLOW, f"ends by {', '.join(sorted(words & GOOD_REASONS))}"
    if all(_is_constant_step(names, test, scope) for test in tests):
        return Level.DENY, "ends at a step that is written into the code"
    return Level.WARN, "ends by something of its own"


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


def _is_constant_step(names: Names, test: ast.expr, scope: Scope) -> bool:
    """Whether a condition compares a count of steps with a number that is written out."""
    nodes = [one for one, _ in names.values(test, scope)]
    has_number = any(isinstance(n, ast.Constant) and isinstance(n.value, int) for n in nodes)
    words = {word for one in nodes for word in _words(one)}
    return has_number and bool(words & {"step", "global_step"})
