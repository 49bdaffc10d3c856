"""Who imports whom: every file is parsed, and the layers hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pacebench.plugins import imported_names
from tests.support import REPOSITORY

OURS = ("pacebench", "workloads", "submissions", "scoring", "tuning", "reports")
FILES = sorted(
    path
    for top in OURS
    for path in (REPOSITORY / top).rglob("*.py")
    if "__pycache__" not in path.parts
)
TORCH = {"torch", "schedulefree", "pytorch_optimizer", "prodigyopt", "bitsandbytes"}
JAX = {"jax", "flax", "optax", "chex", "jaxlib"}

# Folder or file (longest match wins) -> what of ours it may import (prefixes).
CORE = ("pacebench.spec", "pacebench.errors", "pacebench.seeds", "pacebench.rows", "pacebench.plan")
ALLOWED = {
    "pacebench/spec.py": (),
    "pacebench/errors.py": (),
    "pacebench/rows.py": (),
    "pacebench/seeds.py": (),
    "pacebench/clock.py": (),
    "pacebench/plan.py": ("pacebench.errors", "pacebench.rows"),
    "pacebench/limits.py": CORE,
    "pacebench/store.py": (*CORE, "pacebench.checkpoint"),
    "pacebench/beam_search.py": ("pacebench.spec",),
    "pacebench/evaluate.py": (
        *CORE,
        "pacebench.backends.base",
        "pacebench.beam_search",
        "pacebench.data",
    ),
    "pacebench/trial.py": (
        *CORE,
        "pacebench.backends.base",
        "pacebench.clock",
        "pacebench.evaluate",
        "pacebench.limits",
        "pacebench.store",
    ),
    "pacebench/backends": (
        *CORE,
        "pacebench.batch_scaling",
        "pacebench.backends",
        "pacebench.checkpoint",
        "pacebench.plugins",
    ),
    "pacebench/batch_scaling.py": ("pacebench.errors", "pacebench.spec"),
    "pacebench/study.py": (
        *CORE,
        "pacebench.batch_scaling",
        "pacebench.fairplay.verdict",
        "pacebench.generated",
        "pacebench.loading",
        "pacebench.store",
        "pacebench.compat.probe",
        "tuning",
    ),
    "workloads": (
        *CORE,
        "pacebench.archives",
        "pacebench.data",
        "pacebench.manifests",
        "pacebench.metrics",
        "pacebench.preparing",
        "pacebench.shards",
        "pacebench.tfds_records",
        "pacebench.backends.layers",
        "pacebench.backends.linear_torch",
    ),
    "submissions": ("pacebench.spec", "pacebench.schedules", "pacebench.optimizers"),
    "pacebench/optimizers": (
        "pacebench.backends.base",
        "pacebench.optimizers",
        "pacebench.schedules",
    ),
    "tuning": (*CORE, "tuning"),
    "scoring": (
        *CORE,
        "pacebench.algoperf_logs",
        "pacebench.algoperf_tree",
        "pacebench.limits",
        "tuning.rules",
        "scoring",
    ),
    "reports": (*CORE, "pacebench.algoperf_logs", "scoring", "reports"),
}


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def names_of(path: Path) -> set[str]:
    return imported_names(ast.parse(path.read_bytes()))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    name = relative(path)
    rule = max((k for k in ALLOWED if name == k or name.startswith(k + "/")), key=len, default=None)
    if rule is None:
        return
    own = name.rsplit("/", maxsplit=1)[0].replace("/", ".")  # a workload's own folder
    allowed = (*ALLOWED[rule], *((own,) if rule in ("workloads", "submissions") else ()))
    ours = {n for n in names_of(path) if n.split(".")[0] in OURS and n != "pacebench"}
    assert {n for n in ours if not n.startswith(tuple(allowed))} == set() if allowed else not ours


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_frameworks_are_imported_only_in_their_own_files(path: Path) -> None:
    name = relative(path)
    roots = {n.split(".")[0] for n in names_of(path)}
    is_free = name.startswith("pacebench/compat/") or name.startswith("submissions/template/")
    for framework, words in ((TORCH, ("torch",)), (JAX, ("jax", "flax"))):
        if roots & framework and not is_free:
            assert any(word in path.name for word in words), f"{name} imports {roots & framework}"
    assert not (roots & TORCH and roots & JAX)


def test_the_loop_scoring_and_reports_name_no_workload_and_no_framework() -> None:
    from pacebench.plugins import all_workloads

    files = [p for p in FILES if relative(p).startswith(("scoring/", "reports/"))]
    files += [
        REPOSITORY / "pacebench" / f"{n}.py" for n in ("trial", "evaluate", "limits", "clock")
    ]
    words = {*all_workloads(), "torch", "jax", "flax"}
    for path in files:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in words, f"{relative(path)}:{node.lineno} names {node.value}"


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_importing_the_packages_loads_no_framework() -> None:
    code = (
        "import sys, pacebench, workloads, submissions, scoring, tuning.rules\n"
        "from pacebench.plugins import all_workloads, installed_submissions\n"
        "all_workloads(); installed_submissions()\n"
        "print(sorted({'torch', 'jax', 'flax', 'optax'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize(("framework", "other"), [("torch", "jax"), ("jax", "torch")])
def test_a_trial_of_one_framework_never_imports_the_other(
    framework: str, other: str, tmp_path: Path
) -> None:
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.support import library_plan, open_trial, with_rules
from pacebench.trial import Progress, run_trial
plan = with_rules(library_plan({framework!r}), max_steps=2)
run_trial(open_trial(plan, Path({str(tmp_path)!r}) / 't'), Progress())
print({framework!r} in sys.modules, {other!r} in sys.modules)
"""
    assert run_python(code) == "True False"
