"""What every built-in submission promises, on digits with a shallower perceptron."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from pacebench.evaluate import evaluate
from pacebench.plan import TrialPlan
from pacebench.plugins import find_workload, installed_submissions
from pacebench.rows import Reason
from pacebench.study import write_plan
from pacebench.trial import Progress, Trial, resume, run_trial
from tests.contracts.compilations import COMPILATIONS, capture_only
from tests.contracts.finite import is_finite
from tests.contracts.scaled_losses import Scale, apply_scales, with_scale
from tests.support import draw, open_trial, with_rules
from tuning.space import PointList, parse_space

SUBMISSIONS = installed_submissions()
DIGITS = find_workload("digits")
# One hidden layer instead of two: a step costs a tenth, and none of the promises depends on it.
SHALLOW = dataclasses.replace(
    DIGITS,
    model_config=dataclasses.replace(DIGITS.model_config, n_hidden=(1024,)),
    n_parameters=64 * 1024 + 1024 + 1024 * 10 + 10,
)
HALVING_STEPS = 200  # of a step hint of 700; the shallow perceptron learns at half the speed
pytestmark = pytest.mark.parametrize("name", SUBMISSIONS, scope="module")


def planned(name: str, out: Path) -> tuple[TrialPlan, Path]:
    """A trial of the fourth of five points, or of the self-tuning values; its code is copied."""
    submission = SUBMISSIONS[name]
    ruleset = "self" if submission.search_space is None else "external"
    drawn = draw(submission, trials=5, clock="steps", ruleset=ruleset)[-2:][0]
    plan = with_rules(drawn.plan, max_steps=HALVING_STEPS, eval_period_seconds=0.1)
    plan = dataclasses.replace(plan, is_compiled=True)
    return plan, write_plan([dataclasses.replace(drawn, plan=plan)], out)[0]


def open_scaled(plan: TrialPlan, folder: Path) -> tuple[Trial, Scale]:
    """A compiled trial whose losses can be scaled."""
    scale = Scale()
    with pytest.MonkeyPatch.context() as patch:
        capture_only(patch)
        trial = open_trial(plan, folder, workload=with_scale(SHALLOW, scale))
    apply_scales(trial.backend.run)
    return trial, scale


@pytest.fixture(scope="module", autouse=True)
def shared_compilations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let jax compile equal steps of two trials once; what it compiles is not changed by that."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """A trial that several promises are tested on, each from its first state on."""

    trial: Trial
    scale: Scale
    first_state: Any


@pytest.fixture(scope="module")
def opened(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A submission's trial, opened and compiled once for all its promises."""
    trial, scale = open_scaled(*planned(name, tmp_path_factory.mktemp("trial")))
    yield Opened(trial=trial, scale=scale, first_state=trial.backend.save_state())
    trial.backend.close()


@pytest.fixture
def fresh(opened: Opened) -> Opened:
    """The opened trial, back in its first state."""
    opened.scale.value = 1.0
    opened.trial.backend.load_state(opened.first_state)
    return opened


def train_loss(trial: Trial) -> float:
    """The training loss as an evaluation now gives it."""
    trial.backend.prepare_eval()
    return evaluate(trial.backend, trial.workload.metric, trial.sources, 512)["train/loss"]


def test_everything_stays_finite_without_gradients(name: str, fresh: Opened) -> None:
    fresh.scale.value = 0.0
    for step in (1, 2):
        fresh.trial.backend.step(step)
    fresh.trial.backend.prepare_eval()
    assert is_finite(fresh.trial)


def test_everything_stays_finite_under_a_huge_gradient(name: str, fresh: Opened) -> None:
    fresh.scale.value = 1e8
    fresh.trial.backend.step(1)
    assert is_finite(fresh.trial)
    fresh.trial.backend.prepare_eval()
    assert is_finite(fresh.trial)


def test_training_loss_halves(name: str, fresh: Opened) -> None:
    trial = fresh.trial
    trial.backend.step(1)
    first = train_loss(trial)
    for step in range(2, HALVING_STEPS + 1):
        trial.backend.step(step)
    assert train_loss(trial) < first / 2


def test_nothing_recompiles_after_step_2(name: str, fresh: Opened) -> None:
    def step_and_evaluate(steps: tuple[int, ...]) -> None:
        for step in steps:
            fresh.trial.backend.step(step)
        train_loss(fresh.trial)
        fresh.trial.backend.wait()

    step_and_evaluate((1, 2))
    counted = COMPILATIONS[fresh.trial.plan.framework]
    assert counted(lambda: step_and_evaluate((3, 4, 5))) == []


def test_a_resumed_trial_holds_the_same_state_and_ends_with_the_same_bytes(
    name: str, fresh: Opened, tmp_path: Path
) -> None:
    plan = with_rules(fresh.trial.plan, max_steps=6)
    first = dataclasses.replace(fresh.trial, plan=plan)
    stops = iter([False, False, False, True])
    stopped = dataclasses.replace(first, is_interrupted=lambda: next(stops))
    progress = Progress()
    assert run_trial(stopped, progress) is None
    saved = first.backend.save_state()
    copied = shutil.copytree(first.store.folder, tmp_path / "copied")
    assert run_trial(first, progress) is Reason.MAX_STEPS  # goes on as if nothing had happened

    second, _ = open_scaled(plan, copied)
    resumed = resume(second, second.store.load_checkpoint())
    assert resumed.step == 4
    np.testing.assert_equal(second.backend.save_state(), saved)
    assert run_trial(second, resumed) is Reason.MAX_STEPS
    for file in ("rows.jsonl", "checkpoint/state.npz"):
        theirs = (second.store.folder / file).read_bytes()
        assert theirs == (first.store.folder / file).read_bytes()


def test_its_metadata_is_complete(name: str) -> None:
    submission = SUBMISSIONS[name]
    assert submission.description
    assert submission.authors
    assert submission.paper.startswith("https://")
    assert submission.licence
    assert submission.self_tuning is not None
    if submission.search_space is not None:
        space = parse_space(submission.search_space, name)
        names = space.points[0] if isinstance(space, PointList) else space.dimensions
        assert set(submission.self_tuning) == set(names)
