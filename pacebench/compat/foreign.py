"""Importing an AlgoPerf submission, with the names it expects, inside a process of its own."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from pacebench.compat.self_imports import SelfImports, parsed_files
from pacebench.loading import PACKAGE, import_source
from pacebench.plugins import imported_names

PACKAGE_NAMES = ("algoperf", "algorithmic_efficiency")
"""AlgoPerf's package since v0.6, and up to v0.5."""
SERVED = {"torch": ("spec", "pytorch_utils"), "jax": ("spec", "jax_sharding_utils")}
UNUSED_IMPORTS = ("jraph",)
"""Imported by three published jax submissions, used by none: an empty module does."""
RANK_FUNCTIONS = ("get_rank", "get_world_size", "new_group", "all_gather_into_tensor")
"""Of `torch.distributed`; one rank alone has no process group."""
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Set by torchrun. AlgoPerf (pytorch_utils.py, v0.5 and v0.6) takes their presence for ranks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What a submission was written for; told from the files that its import has loaded."""

    is_v05: bool
    """It imports `algorithmic_efficiency` and not `algoperf`. Then `update_batch_norm=False` in
    torch normalises with the running averages, and a hyperparameter `dropout_rate` is the
    harness's to apply; since v0.6 the batch normalises, and the submission passes the rate."""
    uses_pmap: bool
    """It names `jax.pmap`: arrays get a leading axis of devices. Both packages occur with it."""


def import_submission(source: Path, address: str, framework: str) -> types.ModuleType:
    """Import a submission's module as part of a package made of its folder.

    `source` is the folder, `address` the module in it. Changes this process for good: it becomes
    the submission's. Errors of the submission's code pass.
    """
    install_names(framework)
    folder = source if source.is_dir() else source.parent
    if os.environ.get("WORLD_SIZE") == "1":
        for name in RANK_VARIABLES:
            os.environ.pop(name, None)
    if framework == "torch" and _says_cuda(folder):
        importlib.import_module("pacebench.compat.cuda_torch").send_cuda_to_cpu()
    sys.meta_path.insert(0, SelfImports(folder))
    return import_source(source, address)


def install_names(framework: str) -> None:
    """Put AlgoPerf's names, and names that its frameworks have dropped, into this process."""
    for package_name in PACKAGE_NAMES:
        package = _empty_package(package_name)
        sys.modules[package_name] = package
        for name in SERVED[framework]:
            module = importlib.import_module(f"pacebench.compat.{name}")
            sys.modules[f"{package_name}.{name}"] = module
            setattr(package, name, module)
    if framework == "jax":
        for name in UNUSED_IMPORTS:
            if name not in sys.modules and importlib.util.find_spec(name) is None:
                sys.modules[name] = _empty_package(name)
        _restore_jax_names()


def generation_of_loaded() -> Generation:
    """Tell what the submission imported into this process was written for."""
    loaded = [m for n, m in sys.modules.items() if n.split(".", 1)[0] == PACKAGE]
    paths = {path for m in loaded if (path := getattr(m, "__file__", None))}
    trees = [ast.parse(Path(path).read_bytes()) for path in sorted(paths)]
    roots = {name.partition(".")[0] for tree in trees for name in imported_names(tree)}
    new, old = PACKAGE_NAMES
    return Generation(is_v05=old in roots and new not in roots, uses_pmap=_names_pmap(trees))


def asks_for_ranks(folder: Path) -> bool:
    """Whether a submission's files divide work over ranks by themselves (`torch.distributed`)."""
    nodes = [node for tree in parsed_files(folder) for node in ast.walk(tree)]
    return any(
        (isinstance(node, ast.Attribute) and node.attr in RANK_FUNCTIONS)
        or (isinstance(node, ast.alias) and node.name in RANK_FUNCTIONS)
        for node in nodes
    )


def _names_pmap(trees: Iterable[ast.Module]) -> bool:
    """Whether code (not a comment or a text) says `jax.pmap`, or imports it."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    attributes = [n.value for n in nodes if isinstance(n, ast.Attribute) and n.attr == "pmap"]
    imports = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == "jax"]
    return any(isinstance(value, ast.Name) and value.id == "jax" for value in attributes) or any(
        alias.name == "pmap" for node in imports for alias in node.names
    )


def _says_cuda(folder: Path) -> bool:
    return any(b"cuda" in path.read_bytes() for path in folder.rglob("*.py"))


def _empty_package(name: str) -> types.ModuleType:
    return importlib.util.module_from_spec(ModuleSpec(name, None, is_package=True))


def _restore_jax_names() -> None:
    """Bring back `jax.tree_map` and the arguments `a_min` and `a_max` of `jnp.clip`."""
    import jax

    jax.tree_map = jax.tree.map
    clip = jax.numpy.clip

    @functools.wraps(clip)
    def clip_by_either_name(*args: Any, **kwargs: Any) -> Any:
        for old, new in (("a", "arr"), ("a_min", "min"), ("a_max", "max")):
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
        if "arr" in kwargs:
            args = (kwargs.pop("arr"), *args)
        return clip(*args, **kwargs)

    jax.numpy.clip = clip_by_either_name
