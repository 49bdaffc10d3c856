"""Running a submission to see what its source does not tell, in processes of its own.

`python -P -m pacebench.fairplay.probe ANSWER FOLDER…` is the process: it imports the frameworks
once, and then forks for every trial, which so begins clean and is not slow. Of each planned trial
folder it runs three: as planned and observed, with the workload under another name, and from
other initial parameters.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from pacebench.backends import BACKENDS
from pacebench.errors import PlanError
from pacebench.fairplay.findings import Found, Level, Rule, in_order, worst
from pacebench.fairplay.observed import PARTS, Seen, Variation, run_observed
from pacebench.fairplay.verdict import records
from pacebench.loading import SOURCE_FOLDER
from pacebench.plan import TrialPlan, read_plan
from pacebench.plugins import find_workload, resolve
from pacebench.rows import PLAN_FILE
from pacebench.spec import DataRequest

CLOSER = 0.5
"""Trials from different parameters whose distance shrinks below this share of what it was were not
trained there: an optimizer's first steps move both alike."""
_ANSWER = "seen.json"


def probe(
    folders: Sequence[Path], *, n_cores: int, wall_limit_seconds: float, scratch: Path
) -> list[list[Found]]:
    """Give, for each planned trial folder, what shows when it runs.

    Raises PlanError if the process does not end in time or without an answer.
    """
    answer = scratch / "answer.json"
    command = [sys.executable, "-P", "-m", "pacebench.fairplay.probe", str(answer)]
    with (scratch / "probe.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *map(str, folders)],
            env=_environment(folders, n_cores, scratch),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            process.wait(wall_limit_seconds)
        except subprocess.TimeoutExpired:
            text = f"no end within {wall_limit_seconds:g} s (--wall-limit)"
            raise PlanError(f"the observed trials came to {text}") from None
        finally:
            _kill_group(process)
    if not answer.exists():
        raise PlanError(
            f"the observed trials ended with exit code {process.returncode} and no answer; all of "
            f"it: {scratch / 'probe.log'}"
        )
    return [[_found(record) for record in found] for found in json.loads(answer.read_bytes())]


def main(arguments: Sequence[str]) -> None:
    """Run the trials in the folders and write down what is found."""
    answer, *folders = map(Path, arguments)
    plans = [read_plan(folder) for folder in folders]
    _import_all(plans)
    found = [
        records(in_order(_judge(plan, folder))) for plan, folder in zip(plans, folders, strict=True)
    ]
    aside = answer.with_suffix(".partial")
    aside.write_text(json.dumps(found))
    aside.rename(answer)


def _import_all(plans: Sequence[TrialPlan]) -> None:
    """Import once what every trial needs; nothing is computed yet, so that forks are clean."""
    for framework in sorted({plan.framework for plan in plans}):
        importlib.import_module(PARTS[framework])
        resolve(BACKENDS[framework])
    for plan in plans:
        data_dir = Path(plan.data_dir) if plan.data_dir else None
        request = DataRequest(data_dir=data_dir, allow_partial=plan.allow_partial_data)
        find_workload(plan.workload).find_sizes(request)  # with what reads the data


def _judge(plan: TrialPlan, folder: Path) -> Iterator[Found]:
    """Run the trial, and compare it with its variations if nothing is denied yet."""
    observed = _in_child(plan, folder, Variation())
    if isinstance(observed, str):
        yield Found(rule=Rule.UNREAD, place="observed", level=Level.WARN, reason=observed)
        return
    yield from observed.found
    if worst(observed.found) is Level.DENY:
        return  # a variation would be denied for the same
    renamed = _in_child(plan, folder, Variation(is_renamed=True))
    yield from _of_names(plan, folder, observed, renamed)
    reseeded = _in_child(plan, folder, Variation(seed_shift=1))
    if isinstance(reseeded, Seen):
        yield from _of_weights(observed, reseeded)


def _of_names(
    plan: TrialPlan, folder: Path, observed: Seen, renamed: Seen | str
) -> Iterator[Found]:
    """See that a trial goes the same way when its workload bears another name."""
    rule = Rule.WORKLOAD_NAME
    if isinstance(renamed, str):
        text = f"with the workload under another name it fails: {renamed}"
        yield Found(rule=rule, place="renamed", level=Level.DENY, reason=text)
        return
    place = _first_difference(observed, renamed)
    if not place:
        return
    repeated = _in_child(plan, folder, Variation())
    if isinstance(repeated, str) or _first_difference(observed, repeated):
        text = "two equal trials differ, so whether it follows the workload's name cannot be told"
        yield Found(rule=rule, place=place, level=Level.WARN, reason=text)
    else:
        text = "with the workload under another name the same trial goes another way"
        yield Found(rule=rule, place=place, level=Level.DENY, reason=text)


def _of_weights(observed: Seen, reseeded: Seen) -> Iterator[Found]:
    """See that trials from different parameters stay as far apart as they began."""
    first, other = observed.samples[0], reseeded.samples[0]
    drawn = first != other  # biases begin at 0 in both
    began = float(np.linalg.norm((first - other)[drawn]))
    pairs = zip(observed.samples, reseeded.samples, strict=False)
    for number, (one, another) in enumerate(pairs):
        if one.shape != first.shape or another.shape != first.shape:
            continue
        apart = float(np.linalg.norm((one - another)[drawn]))
        if np.isfinite(apart) and apart < CLOSER * began:
            text = (
                f"from other initial parameters it comes to the same ones: {apart / began:.0%} of "
                "the distance is left"
            )
            place = _place(number)
            yield Found(rule=Rule.MEMORISED_WEIGHTS, place=place, level=Level.DENY, reason=text)
            return


def _first_difference(one: Seen, other: Seen) -> str:
    """Give the place at which two trials part; "" if they do not."""
    for number, (left, right) in enumerate(zip_longest(one.digests, other.digests)):
        if left != right:
            return _place(number)
    return ""


def _place(number: int) -> str:
    return f"step {number - 1}" if number > 1 else "set-up"


def _in_child(plan: TrialPlan, folder: Path, variation: Variation) -> Seen | str:
    """Run a variation of a trial in a fork, in a copy of its folder; gives why if it fails."""
    with tempfile.TemporaryDirectory(prefix="pacebench-", ignore_cleanup_errors=True) as name:
        aside = Path(name).resolve()
        shutil.copy2(folder / PLAN_FILE, aside)
        if (folder / SOURCE_FOLDER).exists():
            shutil.copytree(folder / SOURCE_FOLDER, aside / SOURCE_FOLDER)
        child = os.fork()
        if child == 0:
            _be_child(plan, aside, variation)
        _, status = os.waitpid(child, 0)
        try:
            answer = json.loads((aside / _ANSWER).read_bytes())
        except OSError:
            return f"its process ended with exit code {os.waitstatus_to_exitcode(status)}"
    if "error" in answer:
        return str(answer["error"])
    return Seen(
        digests=tuple(answer["digests"]),
        samples=tuple(np.array(sample, np.float32) for sample in answer["samples"]),
        found=tuple(_found(record) for record in answer["found"]),
    )


def _be_child(plan: TrialPlan, folder: Path, variation: Variation) -> None:
    """Run the trial, write down what was seen, and end this process."""
    try:
        seen = run_observed(plan, folder, variation)
        answer: dict[str, Any] = {
            "digests": seen.digests,
            "samples": [sample.tolist() for sample in seen.samples],
            "found": records(seen.found),
        }
    except BaseException as error:  # noqa: BLE001 (whatever a submission raises is an answer)
        traceback.print_exception(error)
        answer = {"error": traceback.format_exception_only(error)[-1].strip()[:2000]}
    try:
        (folder / _ANSWER).write_text(json.dumps(answer))
        sys.stderr.flush()
    finally:
        os._exit(0)  # threads that a submission left behind must not keep the process


def _found(record: dict[str, str]) -> Found:
    return Found(
        rule=Rule(record["rule"]),
        place=record["place"],
        level=Level(record["level"]),
        reason=record["reason"],
    )


def _environment(folders: Sequence[Path], n_cores: int, scratch: Path) -> dict[str, str]:
    """Give the process the threads and devices of a trial, and compile caches of its own."""
    is_cpu = all(read_plan(folder).device == "cpu" for folder in folders)
    threads = str(max(1, n_cores))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        "JAX_COMPILATION_CACHE_DIR": str(scratch / "jax"),  # the three trials compile the same
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        **os.environ,
        **dict.fromkeys(names, threads),
        **{"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"},
        **({"CUDA_VISIBLE_DEVICES": ""} if is_cpu else {}),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # the other check would spoil CUDA for the forks
    }


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process and of its forks."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
