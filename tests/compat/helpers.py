"""What the tests of compat share: plans, trials of a submission, and undoing what an import did."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pacebench.compat.session import load
from pacebench.plan import TrialPlan
from pacebench.rows import Reason
from pacebench.spec import Workload
from pacebench.trial import Progress, Trial, resume, run_trial
from tests.support import PLAN, open_trial, with_rules
from workloads.digits import FULL as DIGITS

SUBMISSIONS = Path(__file__).parent / "submissions"
STYLES = {
    "torch_momentum": {"learning_rate": 0.1, "one_minus_beta1": 0.1, "warmup_factor": 0.05},
    "jax_pmap_adam": {"learning_rate": 0.002, "dropout_rate": 0.1},
    "jax_sharded_lion": {"learning_rate": 0.0004},
}
"""One submission of each style, and a point of its search space."""
NORM_DIGITS = dataclasses.replace(
    DIGITS,
    torch_model="tests.compat.norm_torch:build",
    flax_model="tests.compat.norm_flax:build",
    output_parameters={
        "torch": ("out.weight", "out.bias"),
        "jax": ("Dense_1/kernel", "Dense_1/bias"),
    },
)
"""digits with a model that has batch norm and dropout."""

FOREIGN_ROOTS = {
    "algoperf",
    "algorithmic_efficiency",
    "jraph",
    "pacebench_submission",
    "submissions",
    "submissions_algorithms",
}

TORCH_PARTS = {
    "imports": "import torch\nfrom algoperf import spec",
    "get_batch_size": "def get_batch_size(workload_name):\n    return 64",
    "init_optimizer_state": """
def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {"optimizer": torch.optim.SGD(model_params.parameters(), lr=0.1)}
""",
    "data_selection": """
def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state,
                   hyperparameters, global_step, rng):
    return next(input_queue)
""",
    "update_params": """
def update_params(workload, current_param_container, current_params_types, model_state,
                  hyperparameters, batch, loss_type, optimizer_state, eval_results, global_step,
                  rng):
    logits, model_state = workload.model_fn(
        params=current_param_container, augmented_and_preprocessed_input_batch=batch,
        model_state=model_state, mode=spec.ForwardPassMode.TRAIN, rng=rng, update_batch_norm=True)
    loss = workload.loss_fn(label_batch=batch["targets"], logits_batch=logits)
    optimizer_state["optimizer"].zero_grad()
    (loss["summed"] / loss["n_valid_examples"]).backward()
    optimizer_state["optimizer"].step()
    return optimizer_state, current_param_container, model_state
""",
}
"""A whole torch submission in parts; tests replace some."""


def write_submission(folder: Path, **parts: str) -> Path:
    """Write a torch submission of TORCH_PARTS, some replaced ("" leaves a part out)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.py").write_text("\n\n".join((TORCH_PARTS | parts).values()))
    return folder


def plan_of(source: Path, hyperparameters: Any = None, **changes: Any) -> TrialPlan:
    """A plan of an AlgoPerf submission on digits, with time counted in steps.

    It evaluates at step 1 and every 10 steps; without hyperparameters the ruleset is "self".
    """
    plan = dataclasses.replace(
        PLAN,
        submission=source.name,
        style="algoperf",
        address="submission",
        source=source.name,
        framework="jax" if "jax" in source.name else "torch",
        hyperparameters=hyperparameters or {},
        clock="steps",
        **changes,
    )
    ruleset = "self" if hyperparameters is None else "external"
    return with_rules(plan, ruleset=ruleset, max_steps=12)


@contextmanager
def foreign_imports() -> Iterator[None]:
    """Undo, at the end, what importing a submission changes in a process."""
    import jax
    from jax import numpy as jnp

    modules, finders, clip = dict(sys.modules), list(sys.meta_path), jnp.clip
    for name in [n for n in modules if n.partition(".")[0] in FOREIGN_ROOTS]:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [n for n in sys.modules if n.partition(".")[0] in FOREIGN_ROOTS]:
            del sys.modules[name]
        kept = {n: m for n, m in modules.items() if n.partition(".")[0] in FOREIGN_ROOTS}
        sys.modules.update(kept)
        sys.meta_path[:] = finders
        jnp.clip = clip
        vars(jax).pop("tree_map", None)


def open_submission(
    source: Path, plan: TrialPlan, folder: Path, workload: Workload = NORM_DIGITS
) -> Trial:
    """A trial of a submission in this process; use it within `foreign_imports`.

    The workload is digits with a small model that has batch norm, unless another is given.
    """
    adapter = importlib.import_module(f"pacebench.compat.{plan.framework}_adapter")
    algorithm = adapter.algorithm_of_loaded(load(source, plan, workload))
    return open_trial(plan, folder, workload=workload, algorithm=algorithm)


def run_submission(
    source: Path,
    plan: TrialPlan,
    folder: Path,
    *,
    interrupted_after: int = 0,
    workload: Workload = NORM_DIGITS,
) -> tuple[Trial, Reason | None]:
    """Run (or, where the folder has a checkpoint, resume) a trial to its end."""
    with foreign_imports():
        trial = open_submission(source, plan, folder, workload)
        if interrupted_after:
            trial = dataclasses.replace(
                trial, is_interrupted=lambda: trial.backend.run.step >= interrupted_after
            )
        tree = trial.store.load_checkpoint()
        progress = Progress() if tree is None else resume(trial, tree)
        return trial, run_trial(trial, progress)
