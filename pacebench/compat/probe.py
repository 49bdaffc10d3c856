"""Asking a submission for its batch sizes: it is imported in a process of its own.

`python -P -m pacebench.compat.probe REQUEST ANSWER` is that process; both are JSON files.
"""

from __future__ import annotations

import functools
import json
import logging
import operator
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from pacebench.compat.foreign import import_submission
from pacebench.compat.functions import functions_of
from pacebench.errors import SubmissionError
from pacebench.loading import hash_source
from pacebench.plugins import all_workloads
from pacebench.spec import Submission, Workload

TIMEOUT_SECONDS = 600.0
"""Importing a framework from a cold disk may take minutes; hanging is an error."""

_log = logging.getLogger(__name__)


def probe_batch_size(submission: Submission, workload: Workload) -> int:
    """Give the global batch size that a submission asks for on a workload.

    It is asked for the workload's own name, then for its AlgoPerf name, whose answer is divided by
    `algoperf_batch_divisor` (at least 1 is given); if it raises for both, the workload's own batch
    size serves, with a warning. Raises SubmissionError if the submission
    cannot be imported or answers with anything but a positive integer.
    """
    assert submission.source is not None
    known = {name for w in all_workloads().values() for name in _names(w)}
    request = json.dumps(
        {
            "source": str(submission.source),
            "address": submission.address,
            "framework": submission.framework,
            "names": sorted(known | set(_names(workload))),
        }
    )
    answer = _ask(request, hash_source(submission))
    if "error" in answer:
        raise SubmissionError(f"cannot import '{submission.name}': {answer['error']}")
    for name in _names(workload):
        if name in answer["sizes"]:
            size = _checked(answer["sizes"][name], name, submission)
            divisor = 1 if name == workload.name else workload.algoperf_batch_divisor
            return max(1, size // divisor)
    _log.warning(
        "'%s' knows none of the names %s (%s); it gets the workload's batch size %d",
        submission.name,
        " and ".join(_names(workload)),
        answer["refusals"][workload.name],
        workload.batch_size,
    )
    return workload.batch_size


@functools.cache
def _ask(request: str, source_hash: str) -> dict[str, Any]:  # noqa: ARG001 (part of the key)
    """Start the process; gives `sizes` and `refusals` by name, or `error`."""
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    environment = {**os.environ, **ranks, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    with tempfile.TemporaryDirectory(prefix="pacebench-") as folder:
        asked, answered = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(request)
        command = [sys.executable, "-P", "-m", "pacebench.compat.probe", str(asked), str(answered)]
        try:
            process = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"it took more than {TIMEOUT_SECONDS:.0f} s"}
        if not answered.exists():
            return {"error": f"its process ended with exit code {process.returncode}"}
        answer: dict[str, Any] = json.loads(answered.read_bytes())
        return answer


def _names(workload: Workload) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (workload.name, workload.algoperf_name))))


def _checked(size: int | str, name: str, submission: Submission) -> int:
    if not isinstance(size, int) or size < 1:
        raise SubmissionError(
            f"get_batch_size('{name}') of '{submission.name}' gave {size}; it must give a "
            "positive integer"
        )
    return size


def answer_request(request: dict[str, Any]) -> dict[str, Any]:
    """Import the submission in this process and ask it about every name."""
    try:
        module = import_submission(
            Path(request["source"]), request["address"], request["framework"]
        )
        functions_of(module, f"{request['address']}.py")
    except BaseException as error:  # noqa: BLE001 (whatever a foreign import does is an answer)
        return {"error": traceback.format_exception_only(error)[-1].strip() + _advice(error)}
    sizes, refusals = {}, {}
    for name in request["names"]:
        try:
            sizes[name] = _plain(module.get_batch_size(name))
        except Exception as error:  # noqa: BLE001 (an unknown name raises what it likes)
            refusals[name] = traceback.format_exception_only(error)[-1].strip()
    return {"sizes": sizes, "refusals": refusals}


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; it needs a package that is not installed here (its requirements say which)"
    return ""


def _plain(size: Any) -> int | str:
    """Give an integer of any library as Python's, and anything else as text."""
    try:
        return operator.index(size)
    except TypeError:
        return repr(size)


if __name__ == "__main__":
    asked, answered = map(Path, sys.argv[1:])
    answered.write_text(json.dumps(answer_request(json.loads(asked.read_bytes()))))
    sys.stdout.flush()
    os._exit(0)  # threads that the import left behind must not keep the process
