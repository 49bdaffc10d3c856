"""Writing to what is not the submission's: modules, what the trial handed over, its history."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, text_of, words

HISTORY = ("@history", "@run.evaluations")
MUTATORS = words(
    "append clear extend insert pop popitem remove reverse setdefault sort update __setitem__ "
    "__delitem__ __setattr__"
)
CHANGERS = frozenset(f"builtins.{kind}.{name}" for kind in ("list", "dict") for name in MUTATORS)
CHANGERS |= words(
    "operator.setitem operator.delitem operator.iadd operator.ior random.shuffle heapq.heappush "
    "heapq.heappop heapq.heapify bisect.insort"
)
"""Functions that change their first argument."""
RANK_VARIABLES = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})
"""What torch's launchers set; AlgoPerf's runner and submissions read them."""
CACHE_WORDS = ("cache_dir", "cache_path", "compilation_cache")
PRECISION_WORDS = ("precision", "allow_tf32", "fp16", "bf16", "num_threads")
_SETTERS = words(
    "builtins.setattr builtins.delattr builtins.object.__setattr__ builtins.type.__setattr__"
)
SETTINGS_PARTS = ("backends", "config", "_config")
"""A module so named holds settings of its library, which are made to be assigned."""


def find_writes(names: Names) -> Iterator[Found]:
    """Go through what a file assigns, deletes or changes in place that is not its own."""
    for node, scope in names.nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield from _target(names, node, scope)
        elif isinstance(node, ast.Call):
            yield from _set_by_call(names, node, scope)
            yield from _mutated(names, node, scope)
            yield from _environment_call(names, node, scope)
        elif isinstance(node, ast.Subscript):
            yield from _environment_read(names, node, scope)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name) and _is_history(names, node.target, scope):
                yield names.found(node, Rule.HISTORY, "adds to the evaluations", _HISTORY)
        elif isinstance(node, ast.Attribute | ast.Name):
            yield from _environment_whole(names, node, scope)


def _target(names: Names, node: ast.Attribute | ast.Subscript, scope: Scope) -> Iterator[Found]:
    """Look at what an assignment, an augmented one or a del has as its target."""
    base = names.dotted(node.value, scope)
    if isinstance(node, ast.Attribute):
        yield from _set(names, node, base, node.attr)
    elif _is_history(names, node.value, scope):
        yield names.found(node, Rule.HISTORY, "changes the evaluations", _HISTORY)
    elif base in ("os.environ", "os.environb"):
        yield _environment(names, node, text_of(node.slice), "sets")
    elif base.endswith(".__dict__") or base == "sys.modules":
        owner = base.removesuffix(".__dict__")
        yield from _set(names, node, owner, text_of(node.slice) or "…")


def _set_by_call(names: Names, node: ast.Call, scope: Scope) -> Iterator[Found]:
    """Look at setattr, delattr, mock's patches and jax.config.update."""
    function = names.dotted(node.func, scope)
    if function in _SETTERS and len(node.args) >= 2:
        base = names.dotted(node.args[0], scope)
        yield from _set(names, node, base, text_of(node.args[1]) or "…")
    elif function.startswith(("unittest.mock", "mock.")):
        yield names.found(node, Rule.PATCHING, f"calls {function}", _PATCHING)
    elif function.endswith("config.update") and not function.startswith("."):
        word = text_of(node.args[0]) if node.args else ""
        yield from _setting(names, node, f"{function}({word!r})", word)


def _set(names: Names, node: ast.AST, base: str, attribute: str) -> Iterator[Found]:
    """Judge the assignment of an attribute of `base`."""
    name = f"{base.lstrip('@')}.{attribute}"
    if base.startswith(("@run", "@workload", "@batches")):
        if attribute == "forward" or attribute.endswith("_hooks"):
            yield names.found(node, Rule.DEFERRED_WORK, f"replaces {name}", _FORWARD)
        elif not base.startswith(("@run.model", "@run.params", "@run.parameters")):
            yield names.found(node, Rule.TRIAL_STATE, f"assigns {name}", _TRIAL_STATE)
    elif attribute == "evaluations" and _is_of_results(names.parents.get(node)):
        yield names.found(node, Rule.HISTORY, f"assigns {name}", _HISTORY)
    elif not base or base.startswith(("@", ".")) or "()" in base:
        return  # an object, or a module, of the submission's own
    elif any(part in SETTINGS_PARTS for part in base.split(".")):
        yield from _setting(names, node, name, attribute)
    else:
        yield names.found(node, Rule.PATCHING, f"assigns {name}", _PATCHING)


def _setting(names: Names, node: ast.AST, name: str, word: str) -> Iterator[Found]:
    lowered = f"{name} {word}".lower()
    if any(part in lowered for part in CACHE_WORDS):
        yield names.found(node, Rule.COMPILE_CACHE, f"sets {name}", _CACHE)
    elif any(part in lowered for part in PRECISION_WORDS):
        reason = "precision, threads and cores are the rules' and the plan's to say"
        yield names.found(node, Rule.SETTINGS, f"sets {name}", reason, Level.WARN)
    else:
        reason = "a library's setting, made to be set"
        yield names.found(node, Rule.SETTINGS, f"sets {name}", reason, Level.ALLOW)


def _mutated(names: Names, node: ast.Call, scope: Scope) -> Iterator[Found]:
    """Look at calls that change a container in place."""
    function = node.func
    if (
        names.dotted(function, scope) in CHANGERS
        and node.args
        and _is_history(names, node.args[0], scope)
    ):
        what = f"calls {names.dotted(function, scope).removeprefix('builtins.')} on them"
        yield names.found(node, Rule.HISTORY, what, _HISTORY)
    if not isinstance(function, ast.Attribute) or function.attr not in MUTATORS:
        return
    base = names.dotted(function.value, scope)
    if _is_history(names, function.value, scope):
        yield names.found(node, Rule.HISTORY, f"calls {function.attr} on them", _HISTORY)
    elif base in ("os.environ", "os.environb"):
        for word in _words_set(node):
            yield _environment(names, node, word, "sets")
    elif base == "sys.modules" or (base.endswith(".__dict__") and not base.startswith(("@", "."))):
        yield names.found(node, Rule.PATCHING, f"changes {base}", _PATCHING)


def _words_set(node: ast.Call) -> list[str]:
    """Give the variables that os.environ.update(A=…), setdefault("A", …) and so on name."""
    words = [keyword.arg or "" for keyword in node.keywords]
    for argument in node.args[:1]:
        keys = argument.keys if isinstance(argument, ast.Dict) else [argument]
        words += [text_of(key) if key is not None else "" for key in keys]
    return words or [""]


def _is_history(names: Names, node: ast.expr, scope: Scope) -> bool:
    """Whether an expression is the list of evaluations or a part of it."""
    inner: ast.AST = node
    for _ in range(10):
        if names.dotted(inner, scope) in HISTORY:
            return True
        if isinstance(inner, ast.Attribute) and inner.attr in ("evaluations", "eval_results"):
            return True
        if isinstance(inner, ast.Subscript | ast.Starred):
            inner = inner.value
        elif isinstance(inner, ast.Name):
            found = scope.find(inner.id)
            values = [v for v in found[0] if isinstance(v, ast.expr)] if found else []
            looked_up = [v for v in values if isinstance(v, ast.Subscript | ast.Attribute)]
            if not looked_up or found is None:
                return False
            inner, scope = looked_up[0], found[1]
        else:
            return False
    return False


def _environment_read(names: Names, node: ast.Subscript, scope: Scope) -> Iterator[Found]:
    if names.dotted(node.value, scope) in ("os.environ", "os.environb"):
        yield _environment(names, node, text_of(node.slice), "reads")


def _environment_whole(
    names: Names, node: ast.Attribute | ast.Name, scope: Scope
) -> Iterator[Found]:
    """Look at uses of os.environ other than by key and by method."""
    is_part = isinstance(names.parents.get(node), ast.Attribute | ast.Subscript)
    if not is_part and names.dotted(node, scope) in ("os.environ", "os.environb"):
        yield _environment(names, node, "", "reads")


def _environment_call(names: Names, node: ast.Call, scope: Scope) -> Iterator[Found]:
    function = names.dotted(node.func, scope)
    if function in ("os.getenv", "os.environ.get", "os.getenvb"):
        yield _environment(names, node, text_of(node.args[0]) if node.args else "", "reads")
    elif function in ("os.putenv", "os.unsetenv"):
        yield _environment(names, node, text_of(node.args[0]) if node.args else "", "sets")


def _environment(names: Names, node: ast.AST, word: str, verb: str) -> Found:
    what = f"{verb} the environment variable {word or 'of a made-up name'}"
    if verb == "sets" and any(part in word.lower() for part in CACHE_WORDS):
        return names.found(node, Rule.COMPILE_CACHE, what, _CACHE)
    if word in RANK_VARIABLES and verb == "reads":
        reason = "which rank this is"
        return names.found(node, Rule.ENVIRONMENT, what, reason, Level.ALLOW)
    reason = "two machines may differ in it, and it can carry what the trial does not tell"
    return names.found(node, Rule.ENVIRONMENT, what, reason, Level.WARN)


def _is_of_results(statement: ast.AST | None) -> bool:
    """Whether an assignment's value has to do with AlgoPerf's list of evaluations."""
    parts = ast.walk(statement.value) if isinstance(statement, ast.Assign) else ()
    return any("eval_results" in (getattr(p, "id", ""), getattr(p, "attr", "")) for p in parts)


_HISTORY = "the evaluations are to be read; what is written there was not measured"
_PATCHING = "what belongs to Python, a library or the benchmark stays as it is"
_TRIAL_STATE = "what the trial hands over is to be read"
_FORWARD = "evaluations would run the submission's code, uncharged"
_CACHE = "compilation is charged, from empty caches, in every trial"
