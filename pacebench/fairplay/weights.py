"""Numbers that a submission brings along, and whether they go into the parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import MAX_DEPTH, Names, Scope, text_of, words

MAX_NUMBERS = 500
"""Written out in one literal; the tables of honest optimizers known to us hold tens."""
MAX_TEXT = 5_000
"""Characters or bytes of one constant that is no docstring."""
MIN_NUMBERS, MIN_TEXT = 40, 400
"""From which on literals of one file are counted together."""
LARGE_FILE_BYTES = 50_000
"""A file beside the code from which on it counts as one that could hold weights."""
WEIGHT_SUFFIXES = words(
    ".npy .npz .pt .pth .bin .ckpt .safetensors .pkl .pickle .msgpack .h5 .hdf5 .state"
)
LOADERS = words(
    "torch.load numpy.load numpy.fromfile numpy.memmap numpy.loadtxt numpy.genfromtxt "
    "numpy.frombuffer jax.numpy.load jax.numpy.frombuffer torch.frombuffer pickle.load "
    "pickle.loads joblib.load h5py.File dill.load cloudpickle.load safetensors.torch.load_file "
    "safetensors.flax.load_file safetensors.numpy.load_file flax.serialization.from_bytes "
    "flax.serialization.msgpack_restore flax.training.checkpoints.restore_checkpoint"
)
"""Calls that give arrays out of a file or of bytes."""
TEXT_LOADERS = words(
    "json.load json.loads tomllib.load tomllib.loads base64.b64decode base64.b85decode "
    "zlib.decompress bytes.fromhex builtins.bytes.fromhex binascii.unhexlify struct.unpack "
    "csv.reader numpy.fromstring ast.literal_eval"
)
"""Calls that give numbers out of text; honest where they do not go into the parameters."""
BROUGHT = "a learned optimizer may bring its own numbers along, never weights of a workload's model"
_WEIGHTS = "every trial trains the parameters that it was given, from its own seed"
_SAME_IN_ANOTHER_FORM = re.compile(
    r"(^|\.)(tensor|as_tensor|from_numpy|asarray|array|Parameter|map|tree_map|device_put|dict|list|"
    r"zip|enumerate|iter|next|FrozenDict|freeze|items|values|to|float|clone|copy|get)(\(\))*$"
)
"""Calls whose value is their argument's, or their object's, in another form."""
_SINKS = words("copy_ set_ load_state_dict add_ sub_ lerp_ _foreach_copy_ _foreach_lerp_")
_ROUNDS = 4


def find_weights(names: Names) -> Iterator[Found]:
    """Go through large constants, and through what flows from files into parameters."""
    for node, _ in names.nodes:
        if isinstance(node, ast.Constant):
            yield from _long_text(names, node)
        elif isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            yield from _numbers(names, node)
    yield from _in_pieces(names)
    brought = Brought(names)
    for node, scope in names.nodes:
        if any(brought.holds(v, scope) for v in _put_into_parameters(names, node, scope)):
            what = "what is loaded, or written out, goes into the parameters"
            yield names.found(node, Rule.MEMORISED_WEIGHTS, what, _WEIGHTS, Level.DENY)


def find_large_files(paths: tuple[Path, ...], folder: Path) -> Iterator[Found]:
    """Go through files beside the code that could hold weights."""
    for path in paths:
        size = path.stat().st_size
        if path.suffix in WEIGHT_SUFFIXES or size > LARGE_FILE_BYTES:
            yield Found(
                rule=Rule.MEMORISED_WEIGHTS,
                place=f"{path.relative_to(folder).as_posix()}:1",
                level=Level.WARN,
                reason=f"a file of {size} bytes: {BROUGHT}",
            )


class Brought:
    """Which names of a file stand for numbers that were loaded or written out at length."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: set[tuple[int, str]] = set()
        for _ in range(_ROUNDS):  # an assignment may read what a later line brings
            n_before = len(self._known)
            for node, scope in names.nodes:
                for name, value in _assigned(node):
                    if self.holds(value, scope):
                        found = scope.find(name)
                        self._known.add((id(found[1] if found else scope), name))
            if len(self._known) == n_before:
                break

    def holds(self, node: ast.AST, scope: Scope, depth: int = 0) -> bool:
        """Whether an expression's value is such numbers, in whatever form."""
        if depth > MAX_DEPTH:
            return False
        if isinstance(node, ast.Name):
            found = scope.find(node.id)
            return found is not None and (id(found[1]), node.id) in self._known
        if isinstance(node, ast.Call) and self._names.dotted(node.func, scope) in (
            LOADERS | TEXT_LOADERS
        ):
            return True
        if isinstance(node, ast.List | ast.Tuple) and _count(node) > MAX_NUMBERS:
            return True
        return any(self.holds(part, scope, depth + 1) for part in self._parts(node, scope))

    def _parts(self, node: ast.AST, scope: Scope) -> list[ast.AST]:
        """Give the parts of an expression of which its value is another form."""
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.NamedExpr):
            return [node.value]
        if isinstance(node, ast.Dict):
            return list(node.values)
        if isinstance(node, ast.DictComp | ast.ListComp | ast.GeneratorExp):
            own = node.value if isinstance(node, ast.DictComp) else node.elt
            return [own, *(generator.iter for generator in node.generators)]
        if isinstance(node, ast.Call):
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = self._names.dotted(node.func, scope) or method or getattr(node.func, "id", "")
            if _SAME_IN_ANOTHER_FORM.search(name):
                owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
                return [*node.args, *owner]
        return []


def _in_pieces(names: Names) -> Iterator[Found]:
    """Look for what is written out in pieces, each of them small enough."""
    n_numbers, n_characters = 0, 0
    place: ast.AST | None = None
    for node, _ in names.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            is_docstring = isinstance(names.parents.get(node), ast.Expr)
            is_piece = MIN_TEXT < len(node.value) <= MAX_TEXT and not is_docstring
            n_characters += len(node.value) if is_piece else 0
        elif isinstance(node, ast.List | ast.Tuple) and not isinstance(
            names.parents.get(node), ast.List | ast.Tuple | ast.Set | ast.Dict
        ):
            n = _count(node)
            is_piece = MIN_NUMBERS < n <= MAX_NUMBERS
            n_numbers += n if is_piece else 0
        else:
            continue
        place = node if is_piece and place is None else place
    if place is not None and (n_numbers > MAX_NUMBERS or n_characters > MAX_TEXT):
        what = f"{n_numbers} numbers and {n_characters} characters written out in pieces"
        yield names.found(place, Rule.MEMORISED_WEIGHTS, what, BROUGHT, Level.WARN)


def _long_text(names: Names, node: ast.Constant) -> Iterator[Found]:
    value = node.value
    is_docstring = isinstance(names.parents.get(node), ast.Expr)
    if isinstance(value, str | bytes) and len(value) > MAX_TEXT and not is_docstring:
        yield names.found(
            node,
            Rule.MEMORISED_WEIGHTS,
            f"a constant of {len(value)} characters",
            BROUGHT,
            Level.WARN,
        )


def _numbers(names: Names, node: ast.AST) -> Iterator[Found]:
    if isinstance(names.parents.get(node), ast.List | ast.Tuple | ast.Set | ast.Dict):
        return  # counted with the literal around it
    n = _count(node)
    if n > MAX_NUMBERS:
        yield names.found(
            node, Rule.MEMORISED_WEIGHTS, f"{n} numbers written out", BROUGHT, Level.WARN
        )


def _count(node: ast.AST) -> int:
    """Count the numbers in a literal."""
    return sum(
        isinstance(part, ast.Constant) and isinstance(part.value, int | float)
        for part in ast.walk(node)
    )


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Give the names that a node binds, each with the expression that its value comes from."""
    pairs: list[tuple[ast.AST, ast.expr]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.For | ast.comprehension):
        pairs = [(node.target, node.iter)]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        pairs = [(node.optional_vars, node.context_expr)]
    for target, value in pairs:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id, value


def _put_into_parameters(names: Names, node: ast.AST, scope: Scope) -> Iterator[ast.expr]:
    """Give the expressions that a node puts into a model's parameters."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = node.func.attr
        if name in _SINKS and (name != "load_state_dict" or _is_model(names, node.func, scope)):
            yield from node.args
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if _is_parameter(names, target, scope):
                yield node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and text_of(key) == "params":
                yield value


def _is_parameter(names: Names, target: ast.expr, scope: Scope) -> bool:
    """Whether an assignment changes a parameter: x.data = …, run.params["a"][...] = …."""
    if isinstance(target, ast.Attribute):
        return target.attr == "data"
    item = target.value if isinstance(target, ast.Subscript) else None
    owner = item.value if isinstance(item, ast.Subscript) else None
    of_run = ("@run.params", "@run.parameters")
    return owner is not None and names.dotted(owner, scope).startswith(of_run)


def _is_model(names: Names, function: ast.Attribute, scope: Scope) -> bool:
    """Whether `x.load_state_dict` is of the model: run.model, or what AlgoPerf calls params."""
    owner = function.value
    if names.dotted(owner, scope).startswith("@run.model"):
        return True
    return isinstance(owner, ast.Name) and ("model" in owner.id or "param" in owner.id)
