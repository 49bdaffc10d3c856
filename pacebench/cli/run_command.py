"""Run submissions on workloads under a ruleset; the same command again continues.

All points and seeds are drawn first and written as one trial.json per trial; then the trials run,
each in processes of its own. A trial that fails is a result with a reason, and the others go on.

  pacebench run adamw --workload digits --rules dev
  pacebench run ./my_optimizer adamw --suite dev --data-dir ~/data --jobs 2
  pacebench run torch.optim:AdamW --space space.json --workload digits --rules dev
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench.cli.resources import resources_for

if TYPE_CHECKING:
    from pacebench.spec import Workload
    from pacebench.study import PlannedTrial, Resources, StudyRequest
    from tuning.rules import Rules

HELP = "train submissions on workloads under a ruleset"
DEFAULT_RULES = "algoperf-0.5"
AUTO = "auto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "submissions",
        nargs="+",
        metavar="SUBMISSION",
        help="folder, file, installed plugin, built-in, or a library's class like optax:lion; "
        "NAME=SUBMISSION gives it another name",
    )
    what = parser.add_argument_group("what to run")
    what.add_argument("--workload", nargs="+", action="extend", metavar="NAME", help="workloads")
    what.add_argument("--suite", help="all workloads of a suite, like dev")
    what.add_argument(
        "--rules", help=f"rule version or a .toml file (the suite's own, or {DEFAULT_RULES})"
    )
    what.add_argument("--ruleset", choices=("external", "self"), default="external")
    what.add_argument(
        "--space", type=Path, metavar="FILE", help="search space (JSON or TOML) to use"
    )
    what.add_argument("--seed", type=int, default=0, help="seed of the whole plan (%(default)s)")
    how = parser.add_argument_group("where and on what")
    how.add_argument("--out", type=Path, default=Path("runs"), help="runs folder (%(default)s)")
    how.add_argument("--data-dir", type=Path, help="folder that holds the data sets")
    how.add_argument(
        "--jobs", type=int, default=1, help="trials at once, each on its own cores or GPUs"
    )
    how.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    how.add_argument("--devices", type=int, default=1, metavar="N", help="devices per trial")
    how.add_argument(
        "--compile",
        choices=("auto", "on", "off"),
        default="auto",
        help="torch.compile (auto: on a GPU)",
    )
    how.add_argument("--clock", choices=("seconds", "steps"), default="seconds")
    how.add_argument("--checkpoint-period", type=float, default=600.0, metavar="SECONDS")
    how.add_argument(
        "--wall-limit", type=float, metavar="SECONDS", help="end a trial as hung after this"
    )
    how.add_argument(
        "--schedule",
        metavar="NAME",
        help="learning rate of library classes: constant, linear, cosine (the default), wsd, "
        "cyclic, growing or none; all but none after a warmup",
    )
    less = parser.add_argument_group("for a try (the score then says that it is not a full score)")
    less.add_argument("--studies", type=int, metavar="N")
    less.add_argument("--trials", type=int, metavar="N")
    less.add_argument(
        "--budget-scale",
        type=_scale,
        default=1.0,
        metavar="X",
        help="multiply budgets; auto: to this machine (see calibrate-machine)",
    )
    less.add_argument("--max-steps", type=int, metavar="N")
    less.add_argument(
        "--allow-partial-data", action="store_true", help="accept fewer rows than published"
    )
    parser.add_argument("--plan-only", action="store_true", help="write the plan, run nothing")


def run(args: argparse.Namespace) -> int:
    """Draw, write and drain the plan; exit code 1 if any trial failed."""
    from pacebench.executors.local import make_slots
    from pacebench.study import draw_plan, write_plan

    request = _request(args)
    resources = request.resources
    n_gpus = resources.n_devices if resources.device == "gpu" else 0
    slots = [] if args.plan_only else make_slots(args.jobs, resources.n_cores, n_gpus)
    planned = draw_plan(request)
    folders = write_plan(planned, args.out)
    _print_forecast(planned, request, args)
    if args.plan_only:
        return 0
    from pacebench.cli.progress import drain_with_progress

    started = time.monotonic()
    code = drain_with_progress(folders, slots, args.out)
    print(f"done in {time.monotonic() - started:.0f} s; next: pacebench score {args.out}")
    return code


def _request(args: argparse.Namespace) -> StudyRequest:
    """Turn the options into a request; raises our errors for what cannot be."""
    from pacebench.errors import PlanError, unknown_name
    from pacebench.plugins import find_submission, find_workload, workloads_in_suite
    from pacebench.schedules import NAMES as SCHEDULES
    from pacebench.spec import DataRequest
    from pacebench.study import StudyRequest
    from tuning.rules import load_rules, rules_versions
    from tuning.space import read_space

    for name in ("jobs", "devices", "studies", "trials", "max_steps", "budget_scale"):
        value = getattr(args, name)
        if value is not None and value != AUTO and value <= 0:
            raise PlanError(f"--{name.replace('_', '-')} must be more than 0, not {value}")
    if not args.workload and not args.suite:
        raise PlanError("name what to run on: --workload NAME or --suite dev")
    if args.schedule is not None and args.schedule not in SCHEDULES:
        raise unknown_name("schedule", args.schedule, SCHEDULES)
    workloads = [find_workload(name) for name in dict.fromkeys(args.workload or [])]
    in_suite = workloads_in_suite(args.suite) if args.suite else []
    workloads += [w for w in in_suite if w not in workloads]
    space = read_space(args.space) if args.space else None
    resources = resources_for(
        args.device, jobs=args.jobs, n_devices=args.devices, compile_mode=args.compile
    )
    own = args.suite if args.suite in rules_versions() else DEFAULT_RULES
    rules, remarks = load_rules(args.rules or own), dict[str, str]()
    if args.budget_scale == AUTO:
        rules, remarks = _calibrated(rules, workloads, resources)
    return StudyRequest(
        submissions=[find_submission(name, space) for name in args.submissions],
        workloads=workloads,
        rules=rules,
        ruleset=args.ruleset,
        resources=resources,
        data=DataRequest(
            data_dir=args.data_dir.resolve() if args.data_dir else None,
            allow_partial=args.allow_partial_data,
        ),
        seed=args.seed,
        studies=args.studies,
        trials=args.trials,
        budget_scale=1.0 if args.budget_scale == AUTO else args.budget_scale,
        remarks=remarks,
        max_steps=args.max_steps,
        clock=args.clock,
        schedule=args.schedule,
        checkpoint_period_seconds=args.checkpoint_period,
        wall_limit_seconds=args.wall_limit,
    )


def _scale(text: str) -> float | str:
    try:
        return AUTO if text == AUTO else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor {AUTO}") from None


def _calibrated(
    rules: Rules, workloads: list[Workload], resources: Resources
) -> tuple[Rules, dict[str, str]]:
    """Give the rules with this machine's budgets, and a remark on each that changed."""
    from pacebench.calibration import budget_scales, class_of, scaled_rules

    scales = budget_scales(rules, [w.name for w in workloads], class_of(resources))
    scaled = scaled_rules(rules, scales)
    remarks = {
        name: f"budget of {name} calibrated: {scaled.workload(name).budget_seconds:.3g} s "
        f"(rules: {rules.workload(name).budget_seconds:g} s)"
        for name in scales
    }
    return scaled, remarks


def _print_forecast(
    planned: list[PlannedTrial], request: StudyRequest, args: argparse.Namespace
) -> None:
    from pacebench.study import forecast_seconds

    seconds = forecast_seconds(planned) / args.jobs
    units = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
    size, unit = next((u for u in units if seconds >= 2 * u[0]), units[-1])
    plan = planned[0].plan
    counts = {
        "submission": len(request.submissions),
        "workload": len(request.workloads),
        "study": plan.n_studies,
        "trial": plan.n_trials,
    }
    product = " x ".join(_counted(n, name) for name, n in counts.items())
    print(f"{_counted(len(planned), 'trial')}: {product}")
    print(f"rules {request.rules.version}, {request.ruleset} tuning, seed {request.seed}")
    print(
        f"at most {seconds / size:.1f} {unit} of submission time with {args.jobs} at once; "
        "evaluations and start-up come on top"
    )
    for words in sorted({d for p in planned for d in p.plan.deviations}):
        print(f"not a full score: {words}")
    print(flush=True)


def _counted(n: int, name: str) -> str:
    """Give a number with its noun, in the plural where it is not one."""
    plural = "studies" if name == "study" else f"{name}s"
    return f"{n} {name if n == 1 else plural}"
