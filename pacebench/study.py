"""Drawing a plan: every point and seed of every trial, written to disk before anything runs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pacebench.batch_scaling import scaled
from pacebench.errors import PlanError, SubmissionError
from pacebench.fairplay.verdict import verdict_json
from pacebench.generated import check_generated
from pacebench.loading import SOURCE_FOLDER, check_source_size, copy_source, hash_source
from pacebench.plan import TrialPlan, TrialRules, plan_from_json
from pacebench.rows import FAIRPLAY_FILE, PLAN_FILE, SPACE_FILE
from pacebench.seeds import Seed
from pacebench.spec import DataRequest, Submission, Workload
from pacebench.store import create_trial
from tuning.rules import Rules
from tuning.space import PointList, Space, draw_points, parse_space, space_table

WALL_LIMIT_BASE_SECONDS = 1800.0
WALL_LIMIT_FACTOR = 10.0
"""A trial may take half an hour plus ten times its budget by the wall clock before it is hung."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What each trial runs on."""

    device: str
    """"cpu" or "gpu"."""
    n_devices: int
    n_cores: int
    """CPU cores per trial; 0 leaves it unbound."""
    is_compiled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRequest:
    """What is to be run; None leaves a number to the rules."""

    submissions: Sequence[Submission]
    workloads: Sequence[Workload]
    rules: Rules
    ruleset: str
    resources: Resources
    data: DataRequest
    seed: int = 0
    studies: int | None = None
    trials: int | None = None
    budget_scale: float = 1.0
    remarks: Mapping[str, str] = field(default_factory=dict)
    """By workload: what else makes its trials deviate from the published rules, in words."""
    max_steps: int | None = None
    clock: str = "seconds"
    schedule: str | None = None
    """Of library classes whose search space has none: a name of `pacebench.schedules`."""
    checkpoint_period_seconds: float = 600.0
    wall_limit_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial's plan and the submission whose code it copies."""

    plan: TrialPlan
    submission: Submission


def draw_plan(request: StudyRequest) -> list[PlannedTrial]:
    """Draw all trials of a request, in the order in which they are to be run.

    The same trial of all submissions comes before the next trial of any, so that a plan that is
    stopped early compares like with like. Raises PlanError, SpaceError, SubmissionError,
    DataError or RulesError before anything is written.
    """
    _check_names(request.submissions)
    _check_frameworks(request.submissions)
    planned: list[tuple[tuple[int, int], PlannedTrial]] = []
    for workload in request.workloads:
        sizes = _sizes(workload, request.data)
        for submission in request.submissions:
            drawn = list(_draw(request, submission, workload, sizes))
            planned += [((p.plan.study, p.plan.trial), p) for p in drawn]
    planned.sort(key=lambda pair: pair[0])
    return [p for _, p in planned]


def write_plan(planned: Sequence[PlannedTrial], out: Path) -> list[Path]:
    """Write every trial's folder, or check that it holds the same plan; gives the folders.

    Raises PlanError that names the first field that differs if `out` was made by another plan.
    """
    folders = [out / p.plan.folder() for p in planned]
    for folder, p in zip(folders, planned, strict=True):
        path = folder / PLAN_FILE
        if path.exists():
            _check_same(path, p.plan)
    verdicts: dict[Path, str] = {}
    for folder, p in zip(folders, planned, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        copy_source(p.submission, folder)
        _write_verdict(p.submission, folder, verdicts)
        _write_space(p.submission, folder)
        if not (folder / PLAN_FILE).exists():
            create_trial(folder, p.plan.to_json())
    return folders


def _write_verdict(submission: Submission, folder: Path, known: dict[Path, str]) -> None:
    """Write what fair play says of the code beside its copy; each code is read once."""
    source = submission.source
    if source is None or (folder / FAIRPLAY_FILE).exists():
        return
    if source not in known:
        known[source] = verdict_json(folder / SOURCE_FOLDER / source.name)
    _write_whole(folder / FAIRPLAY_FILE, known[source])


def _write_space(submission: Submission, folder: Path) -> None:
    """Write the search space beside the plan, wherever it was given; none if there is none."""
    space = _space_of(submission)
    if space is not None and not (folder / SPACE_FILE).exists():
        _write_whole(folder / SPACE_FILE, json.dumps(space_table(space), indent=1) + "\n")


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    aside.rename(path)


def forecast_seconds(planned: Sequence[PlannedTrial]) -> float:
    """Give the submission seconds that the trials take at most, all together."""
    return sum(p.plan.rules.budget_seconds for p in planned)


def _draw(
    request: StudyRequest, submission: Submission, workload: Workload, sizes: dict[str, int]
) -> Iterator[PlannedTrial]:
    rules = _effective_rules(request, workload)
    n_studies = request.rules.studies if request.studies is None else request.studies
    n_asked = request.rules.trials_per_study(request.ruleset)
    n_trials = n_asked if request.trials is None else request.trials
    points = _points(request, submission, n_studies, n_trials)
    if request.schedule is not None and submission.style == "library":
        points = [[{"schedule": request.schedule, **p} for p in study] for study in points]
    shared = _shared_fields(request, submission, workload, sizes)
    deviations = _deviations(request, workload, sizes, (n_studies, n_trials))
    for study, trials in enumerate(points):
        for trial, hyperparameters in enumerate(trials, start=1):
            plan = TrialPlan(
                **shared,
                rules=rules,
                deviations=deviations,
                study=study,
                trial=trial,
                n_studies=n_studies,
                n_trials=n_trials,
                hyperparameters=scaled(
                    hyperparameters, submission.learning_rate_scaling, shared["batch_size"]
                ),
                seed=Seed(request.seed).child(workload.name, study, trial).value,
            )
            yield PlannedTrial(plan, submission)


def _effective_rules(request: StudyRequest, workload: Workload) -> TrialRules:
    rules = request.rules.effective(workload.name, request.ruleset, request.budget_scale)
    if request.max_steps is None:
        return rules
    cap = request.max_steps if rules.max_steps is None else min(rules.max_steps, request.max_steps)
    return TrialRules(**{**asdict(rules), "max_steps": cap})


def _points(
    request: StudyRequest, submission: Submission, n_studies: int, n_trials: int
) -> list[list[dict[str, Any]]]:
    """Give the hyperparameters by study and trial; self-tuning has the submission's own values."""
    if request.ruleset == "self":
        if submission.self_tuning is None:
            raise SubmissionError(
                f"'{submission.name}' is an external-tuning submission: it has no [self_tuning] "
                "values; run it with --ruleset external"
            )
        return [[dict(submission.self_tuning)] * n_trials for _ in range(n_studies)]
    space = _space_of(submission)
    if space is None:
        raise SubmissionError(
            f"'{submission.name}' has no search space; give one with --space FILE, or run it with "
            "--ruleset self"
        )
    return draw_points(space, n_studies, n_trials, request.rules.halton_sharing)


def _space_of(submission: Submission) -> Space | PointList | None:
    """Give the search space as the submission or the command line has it; raises SpaceError."""
    space = submission.search_space
    if space is None or isinstance(space, Space | PointList):
        return space
    return parse_space(space, f"search space of '{submission.name}'")


def _shared_fields(
    request: StudyRequest, submission: Submission, workload: Workload, sizes: dict[str, int]
) -> dict[str, Any]:
    """Give the fields that all trials of one submission on one workload share."""
    check_source_size(submission)
    resources = request.resources
    batch_size = _batch_size(submission, workload)
    if batch_size % resources.n_devices:
        raise PlanError(
            f"the batch size {batch_size} of '{submission.name}' on {workload.name} does not "
            f"divide over {resources.n_devices} devices; choose --devices so that it does"
        )
    rules = _effective_rules(request, workload)
    wall_limit = WALL_LIMIT_BASE_SECONDS + WALL_LIMIT_FACTOR * rules.budget_seconds
    return {
        "submission": submission.name,
        "framework": submission.framework,
        "style": submission.style,
        "address": submission.address,
        "source": submission.source.name if submission.source else None,
        "source_hash": hash_source(submission),
        "authors": submission.authors,
        "description": submission.description,
        "workload": workload.name,
        "batch_size": batch_size,
        # No larger than the largest split: the rest would be padding.
        "eval_batch_size": min(
            workload.eval_batch_size, max(n for split, n in sizes.items() if split != "train")
        ),
        "device": resources.device,
        "n_devices": resources.n_devices,
        "n_cores": resources.n_cores,
        "clock": request.clock,
        "is_compiled": resources.is_compiled,
        "data_dir": str(request.data.data_dir) if request.data.data_dir else None,
        "allow_partial_data": request.data.allow_partial,
        "sizes": sizes,
        "checkpoint_period_seconds": request.checkpoint_period_seconds,
        "wall_limit_seconds": request.wall_limit_seconds or wall_limit,
    }


def _batch_size(submission: Submission, workload: Workload) -> int:
    if submission.style == "algoperf":
        from pacebench.compat.probe import probe_batch_size  # starts a process of its own

        return probe_batch_size(submission, workload)
    sizes = submission.batch_sizes
    return sizes.get(workload.name, sizes.get("default", workload.batch_size))


def _sizes(workload: Workload, data: DataRequest) -> dict[str, int]:
    check_generated(workload, data.data_dir)
    sizes = workload.find_sizes(data)
    return {name: sizes[name] for name in sorted(sizes)}


def _deviations(
    request: StudyRequest, workload: Workload, sizes: dict[str, int], counts: tuple[int, int]
) -> tuple[str, ...]:
    """Say in words what makes a score from these trials not a full score."""
    rules = request.rules
    found = []
    for name, wanted, got in (
        ("studies", rules.studies, counts[0]),
        ("trials", rules.trials_per_study(request.ruleset), counts[1]),
    ):
        if got != wanted:
            found.append(f"{got} of {wanted} {name}")
    if request.budget_scale != 1.0:
        found.append(f"budgets scaled by {request.budget_scale:g}")
    if workload.name in request.remarks:
        found.append(request.remarks[workload.name])
    if request.max_steps is not None:
        found.append(f"at most {request.max_steps} steps")
    if request.clock == "steps":
        found.append("time counted in steps")
    partial = [
        f"{name} {sizes[name]} of {published}"
        for name, published in workload.sizes.items()
        if sizes[name] != published
    ]
    if partial:
        found.append(f"partial data on {workload.name}: {', '.join(partial)}")
    return tuple(found)


def _check_names(submissions: Sequence[Submission]) -> None:
    names = [s.name for s in submissions]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise PlanError(
            f"two submissions are called '{twice[0]}'; name one NAME=PATH, or give it once"
        )


def _check_frameworks(submissions: Sequence[Submission]) -> None:
    """Raise PlanError if a submission's framework is not installed; imports none."""
    for submission in submissions:
        if importlib.util.find_spec(submission.framework) is None:
            raise PlanError(
                f"'{submission.name}' needs {submission.framework}, which is not installed: "
                f"pip install 'pacebench[{submission.framework}]'"
            )


def _check_same(path: Path, plan: TrialPlan) -> None:
    """Raise PlanError unless the plan on disk is this plan."""
    on_disk = plan_from_json(path.read_bytes(), str(path))
    if on_disk.to_json() == plan.to_json():
        return
    old, new = json.loads(on_disk.to_json()), json.loads(plan.to_json())
    name = next(k for k in sorted(new) if old[k] != new[k])
    if name == "source_hash":
        raise PlanError(
            f"the code of '{plan.submission}' has changed since {path.parent} was planned; use "
            "another --out folder, or undo the change to continue"
        )
    if name == "rules":
        name = next(k for k in sorted(new["rules"]) if old["rules"][k] != new["rules"][k])
        old, new = old["rules"], new["rules"]
    raise PlanError(
        f"{path.parent} was made by another plan: {name} is {old[name]!r} there and {new[name]!r} "
        "now; use another --out folder, or the first command to continue"
    )
