"""Tries a plugin out: metadata, source, search space, steps, a resume and fair play when it runs.

Every check gives findings, and none raises: whatever a plugin does is a finding with one line that
says what to mend. The trials run as `pacebench run` would run them, in processes of their own,
counted in steps, so that equal states give equal evaluations to the last bit.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacebench.compat.foreign import asks_for_ranks
from pacebench.errors import DataError, PacebenchError, unknown_name
from pacebench.executors.local import drain, make_slots
from pacebench.fairplay.findings import Found, Level
from pacebench.fairplay.probe import probe
from pacebench.fairplay.verdict import read_source
from pacebench.plan import read_plan
from pacebench.plugins import all_workloads, find_submission, read_folder
from pacebench.rows import METRICS_FILE, ROWS_FILE, TIMING_FILE, EvalRow, Reason
from pacebench.spec import DataRequest, Submission, Workload
from pacebench.store import RunStore
from pacebench.study import PlannedTrial, Resources, StudyRequest, draw_plan, write_plan
from tuning.rules import Rules, load_rules, rules_versions
from tuning.space import PointList, Space, draw_points, parse_space

OK, WARNING, FAIL, SKIPPED = "ok", "warning", "FAIL", "skipped"
RULES = "dev"
FIRST_STEPS, ALL_STEPS = 3, 5
"""A trial of 3 steps is taken up again and run to 5; another runs to 5 without a break."""
_EVAL_PERIOD = 2.25
"""Steps, so steps 1, 3 and 5 are evaluated. A submission may make as many steps at once as lie
between two evaluations (AlgoPerf v0.5's lawa_ema), rounded down: so never just below a whole."""
TRACEBACK_FILE = "traceback.txt"
LOG_FILE = "log.txt"
FAIR_PLAY = "fair play"
STATUS_OF_LEVEL = {Level.ALLOW: OK, Level.WARN: WARNING, Level.DENY: FAIL}
_FINE = {Reason.MAX_STEPS, Reason.TARGET, Reason.FINISHED, Reason.BUDGET}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    status: str
    """"ok", "warning", "FAIL" or "skipped"."""
    message: str = ""
    """What is wrong and what to do, in one line."""
    rule: str = ""
    """Of fair play: the rule that it is about (docs/fair_play.md); so the next two."""
    place: str = ""
    """"file.py:12" or "step 3"."""
    level: str = ""
    """"allow", "warn" or "deny"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckRequest:
    """What is to be checked, on what, and where its trials may be written."""

    plugin: str
    workloads: Sequence[Workload]
    data: DataRequest
    resources: Resources
    wall_limit_seconds: float
    scratch: Path


def check_plugin(request: CheckRequest) -> Iterator[Finding]:
    """Go through all findings on a plugin, each as soon as it is known."""
    try:
        submissions = _found(request.plugin)
    except PacebenchError as error:
        yield Finding(check="found", status=FAIL, message=str(error))
        return
    for submission in submissions:
        what = f"{submission.style}, {submission.framework}"
        yield Finding(check=f"found {submission.name}", status=OK, message=what)
    if submissions[0].source is not None:  # a library's class has no metadata of ours
        yield from _metadata_findings(submissions[0])
        nothing = "nothing in the source is against the rules"
        yield from _fair_play("source", nothing, read_source(submissions[0].source))
    has_points = True
    for finding in _space_findings(submissions[0]):
        yield finding
        has_points = has_points and finding.status != FAIL
    for submission in submissions if has_points else ():
        if importlib.util.find_spec(submission.framework) is None:
            yield _not_installed(submission)
            continue
        is_observed = False  # once is enough, on the first workload on which it runs
        for workload in request.workloads:
            tries = _Tries(request, submission, workload)
            for finding in _workload_findings(tries):
                yield finding
                is_running = finding.status not in (FAIL, SKIPPED)
            if is_running and not is_observed:
                is_observed = True
                yield from _observed_findings(tries)


def _found(plugin: str) -> list[Submission]:
    """Give all submissions of a folder, or the one that a name means."""
    path = Path(plugin)
    return read_folder(path.resolve()) if path.is_dir() else [find_submission(plugin)]


def _metadata_findings(submission: Submission) -> Iterator[Finding]:
    missing = [
        name
        for name, value in (
            ("description", submission.description),
            ("authors", submission.authors),
        )
        if not value
    ]
    unknown = [
        str(unknown_name("workload", name, known))
        for known in [[*all_workloads(), "default"]]
        for name in submission.batch_sizes
        if name not in known
    ]
    if missing:
        text = f"no {' and no '.join(missing)}; a leaderboard shows them, so add them"
        yield Finding(check="metadata", status=WARNING, message=text)
    for text in unknown:
        yield Finding(check="metadata", status=WARNING, message=f"batch_size: {text}")
    if not missing and not unknown:
        yield Finding(check="metadata", status=OK)


def _space_findings(submission: Submission) -> Iterator[Finding]:
    """Draw the points of a study from the search space, and compare self-tuning's names."""
    space, fixed = submission.search_space, submission.self_tuning
    if space is None:
        if fixed is None:
            text = "neither a [search_space] nor [self_tuning] values; add one of them"
            yield Finding(check="search space", status=FAIL, message=text)
        else:
            text = "none, so it runs only with --ruleset self (or --space FILE)"
            yield Finding(check="search space", status=WARNING, message=text)
        return
    rules = load_rules(RULES)
    try:
        if not isinstance(space, Space | PointList):
            space = parse_space(space, "[search_space]")
        (points,) = draw_points(space, 1, rules.trials, rules.halton_sharing)
    except PacebenchError as error:
        yield Finding(check="search space", status=FAIL, message=str(error))
        return
    first = ", ".join(f"{name}={_short(value)}" for name, value in points[0].items())
    if len(points) < rules.trials:
        text = f"{len(points)} points, but a study has {rules.trials} trials"
        yield Finding(check="search space", status=WARNING, message=text)
    else:
        yield Finding(check="search space", status=OK, message=f"the first point: {first}")
    if fixed and set(fixed) != set(points[0]):
        odd = ", ".join(sorted(set(fixed) ^ set(points[0])))
        text = f"[self_tuning] and [search_space] differ in {odd}"
        yield Finding(check="self-tuning values", status=WARNING, message=text)


def _not_installed(submission: Submission) -> Finding:
    name = submission.framework
    text = f"{name} is not installed: pip install 'pacebench[{name}]'; see `pacebench doctor`"
    return Finding(check=submission.name, status=FAIL, message=text)


def _workload_findings(tries: _Tries) -> Iterator[Finding]:
    name = tries.name
    try:
        tries.draw()
    except DataError as error:
        yield Finding(check=name, status=SKIPPED, message=str(error))
        return
    except PacebenchError as error:
        yield Finding(check=name, status=FAIL, message=str(error))
        return
    trial, problem = tries.run("first", FIRST_STEPS)
    check = f"{name}: {FIRST_STEPS} steps"
    if problem:
        advice = _advice(tries.submission, tries.request.resources)
        yield Finding(check=check, status=FAIL, message=f"{problem}{advice}")
        return
    yield Finding(check=check, status=OK, message=_loss_text(trial.rows()))
    yield _resume_finding(f"{name}: resume", tries, trial)


def _observed_findings(tries: _Tries) -> Iterator[Finding]:
    """Run the trial under observation, also under another name and from another seed."""
    request = tries.request
    try:
        (found,) = probe(
            [tries.write("observed", ALL_STEPS)],
            n_cores=request.resources.n_cores,
            wall_limit_seconds=request.wall_limit_seconds,
            scratch=request.scratch,
        )
    except PacebenchError as error:
        yield Finding(check=f"{tries.name}: {FAIR_PLAY}", status=WARNING, message=str(error))
        return
    nothing = f"{ALL_STEPS} observed steps show nothing against the rules"
    yield from _fair_play(tries.name, nothing, found)


def _fair_play(what: str, nothing: str, found: Sequence[Found]) -> Iterator[Finding]:
    """Give findings on fair play, and `nothing` where none is against the rules."""
    if all(one.level is Level.ALLOW for one in found):
        yield Finding(check=f"{what}: {FAIR_PLAY}", status=OK, message=nothing)
    for one in found:
        yield Finding(
            check=f"{what}: {FAIR_PLAY}, {one.rule}",
            status=STATUS_OF_LEVEL[one.level],
            message=f"{one.place}: {one.reason}",
            rule=one.rule,
            place=one.place,
            level=one.level,
        )


def _advice(submission: Submission, resources: Resources) -> str:
    """Say what a foreign submission may lack, where its files tell."""
    if submission.style != "algoperf" or submission.source is None or resources.n_devices > 1:
        return ""
    if submission.framework != "torch" or not asks_for_ranks(submission.source):
        return ""
    return (
        "; its files divide work over ranks of torch.distributed, and this trial has one: AlgoPerf "
        "ran it on 8 GPUs (pacebench run --device gpu --devices 8)"
    )


def _drawn(request: CheckRequest, submission: Submission, workload: Workload) -> PlannedTrial:
    """Draw the first trial that `pacebench run` would, in steps, and evaluate every other one."""
    rules = _rules_with(workload.name)
    request_ = StudyRequest(
        submissions=[submission],
        workloads=[workload],
        rules=_with_steps(rules, workload.name),
        ruleset="self" if submission.search_space is None else "external",
        resources=request.resources,
        data=request.data,
        studies=1,
        trials=1,
        max_steps=ALL_STEPS,
        clock="steps",
        wall_limit_seconds=request.wall_limit_seconds,
    )
    return draw_plan(request_)[0]


def _rules_with(workload: str) -> Rules:
    """Give the first rules that know a workload, ours for development before all others."""
    development = load_rules(RULES)
    others = map(load_rules, rules_versions())
    return next((r for r in (development, *others) if workload in r.workloads), development)


def _with_steps(rules: Rules, workload: str) -> Rules:
    """Give the rules with an evaluation after every other step of a workload."""
    limits = rules.workload(workload)
    period = _EVAL_PERIOD * limits.budget_seconds / limits.step_hint
    changed = replace(limits, eval_period_seconds=period)
    return replace(rules, workloads={**rules.workloads, workload: changed})


class _Tries:
    """Runs the same planned trial in several folders, for different numbers of steps."""

    def __init__(self, request: CheckRequest, submission: Submission, workload: Workload) -> None:
        self.request = request
        self.submission = submission
        self.name = f"{submission.name} on {workload.name}"
        self._workload = workload
        self._planned: PlannedTrial | None = None

    def draw(self) -> None:
        """Draw the plan, before anything runs; raises PacebenchError."""
        self._planned = _drawn(self.request, self.submission, self._workload)

    def write(self, name: str, n_steps: int) -> Path:
        """Write the planned trial's folder, for a number of steps."""
        assert self._planned is not None
        plan = self._planned.plan
        capped = replace(plan, rules=replace(plan.rules, max_steps=n_steps))
        planned = PlannedTrial(capped, self._planned.submission)
        (folder,) = write_plan([planned], self.request.scratch / name)
        return folder

    def run(
        self, name: str, n_steps: int, prepare: Callable[[Path], None] | None = None
    ) -> tuple[RunStore, str]:
        """Run a trial; gives its folder's store, and what went wrong ("" if nothing did).

        `prepare` may put files into the folder before.
        """
        try:
            folder = self.write(name, n_steps)
            if prepare is not None:
                prepare(folder)
            resources = self.request.resources
            n_gpus = resources.n_devices if resources.device == "gpu" else 0
            slots = make_slots(1, resources.n_cores, n_gpus)
            unable = [line for report in drain([folder], slots) for _, line in report.failed]
        except PacebenchError as error:
            return RunStore(self.request.scratch), str(error)
        return RunStore(folder), unable[0] if unable else _problem(RunStore(folder))


def _problem(store: RunStore) -> str:
    """Say in one line how a trial went wrong; empty if it did not."""
    end = store.end() or {}
    reason = end.get("reason")
    if reason in _FINE:
        return ""
    if reason == Reason.DIVERGED:
        row = store.rows()[-1]
        odd = sorted(k for k, v in row.metrics.items() if not math.isfinite(v))
        return f"not finite after step {row.step}: {', '.join(odd)}; check learning rate and update"
    if reason == Reason.HUNG:
        limit = read_plan(store.folder).wall_limit_seconds
        return f"no end within {limit:g} s; does a step wait for something? (--wall-limit)"
    last = str(end.get("message", "")).strip().splitlines() or [f"it ended with {reason}"]
    at = f" in step {end['failed_step']}" if end.get("failed_step") else ""
    files = [store.folder / name for name in (TRACEBACK_FILE, LOG_FILE)]
    full = next((f"; all of it: {path}" for path in files if _is_filled(path)), "")
    return f"{reason}{at}: {last[0]}{full}"


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _resume_finding(check: str, tries: _Tries, first: RunStore) -> Finding:
    meta = first.meta()
    if meta.get("is_resumable") is False:
        text = f"not resumable, so an interrupted trial starts anew: {_why(meta)}"
        return Finding(check=check, status=WARNING, message=text)
    whole, problem = tries.run("whole", ALL_STEPS)
    if problem:
        return Finding(check=check, status=FAIL, message=f"{ALL_STEPS} steps: {problem}")
    resumed, problem = tries.run("resumed", ALL_STEPS, lambda folder: _hand_over(first, folder))
    if problem:
        return Finding(check=check, status=FAIL, message=f"after a resume: {problem}")
    different = _difference(whole.rows()[: len(first.rows())], first.rows())
    if different:
        text = f"two runs with equal seeds differ {different}, so a resume cannot be compared"
        return Finding(check=check, status=WARNING, message=text)
    different = _difference(whole.rows(), resumed.rows())
    if different:
        text = (
            f"a resumed trial differs from an uninterrupted one {different}; does the submission "
            "keep state outside of what init and step return?"
        )
        return Finding(check=check, status=FAIL, message=text)
    text = f"{ALL_STEPS} steps give the same evaluations with and without a break"
    return Finding(check=check, status=OK, message=text)


def _hand_over(first: RunStore, folder: Path) -> None:
    """Give a new folder what an interrupted trial would find: its rows and its checkpoint."""
    for name in (ROWS_FILE, TIMING_FILE, METRICS_FILE):
        if (first.folder / name).exists():
            shutil.copy2(first.folder / name, folder / name)
    tree = first.load_checkpoint()
    tree["progress"]["reason"] = None  # it had ended; an interrupted trial has not
    RunStore(folder).save_checkpoint(tree)


def _difference(wanted: Sequence[EvalRow], got: Sequence[EvalRow]) -> str:
    """Say where rows differ first; empty if they are equal to the last bit."""
    for one, other in zip(wanted, got, strict=False):
        if one.to_json() != other.to_json():
            names = sorted(k for k, v in one.metrics.items() if other.metrics.get(k) != v)
            name = names[0] if names else "step"
            values = f"{one.metrics.get(name)!r} and {other.metrics.get(name)!r}"
            return f"at step {one.step} ({name}: {values})"
    return "" if len(wanted) == len(got) else f"in length ({len(wanted)} and {len(got)} rows)"


def _why(meta: dict[str, Any]) -> str:
    return str(meta.get("not_resumable_because", "it says so"))


def _loss_text(rows: Sequence[EvalRow]) -> str:
    losses = [row.metrics["train/loss"] for row in rows if "train/loss" in row.metrics]
    return f"train/loss {', '.join(f'{v:.4g}' for v in losses)}" if losses else ""


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
