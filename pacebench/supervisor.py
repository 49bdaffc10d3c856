"""The supervisor of one trial: owns its folder and lock, starts its ranks, says why it ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from pacebench.environment import usable_cores
from pacebench.errors import StoreError
from pacebench.plan import TrialPlan, read_plan
from pacebench.rows import Reason
from pacebench.store import RunStore
from pacebench.worker_codes import EXIT_INTERRUPTED, EXIT_NOT_A_RESULT

LOG_FILE = "log.txt"
POLL_SECONDS = 0.01
HEARTBEAT_SECONDS = 5.0
GRACE_SECONDS = 30.0
"""How long ranks may take to leave after the trial's end."""
STOP_SECONDS = 600.0
"""How long they may take when asked to stop: to finish a step and write a large checkpoint."""


class Supervisor:
    """Runs the ranks of one trial and outlives whatever they do."""

    def __init__(self, folder: Path, plan: TrialPlan, resources: dict[str, list[Any]]) -> None:
        self.folder = folder
        self.plan = plan
        self.store = RunStore(folder)
        self.resources = resources
        self.n_stops_asked = 0

    def run(self) -> dict[str, Any] | None:
        """Run the trial; gives end.json, or None if it was interrupted and can be resumed.

        Raises StoreError if disk or data failed, which is no result of the submission.
        """
        self.store.acquire_lock()
        end = self.store.end()
        if end is not None:
            return end
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        _adopt_orphans()
        launched_at = time.monotonic()
        scratch = Path(tempfile.mkdtemp(prefix="pacebench-"))
        try:
            with (self.folder / LOG_FILE).open("ab") as log:
                ranks = self._start_ranks(scratch, launched_at, log.fileno())
                codes = self._watch(ranks, launched_at)
            self._note_attempt(time.monotonic() - launched_at, codes)
        finally:
            _kill_descendants()
            shutil.rmtree(scratch, ignore_errors=True)
        return self._conclude(codes)

    def _ask_to_stop(self, *_: object) -> None:
        self.n_stops_asked += 1

    def _start_ranks(
        self, scratch: Path, launched_at: float, log: int
    ) -> list[subprocess.Popen[bytes]]:
        cores = self.resources.get("cores") or usable_cores()
        if self.plan.n_cores:
            cores = cores[: self.plan.n_cores]
        if sys.platform == "linux":
            os.sched_setaffinity(0, cores)
        n_ranks = self.plan.n_ranks
        environment = _environment(self.plan, scratch, len(cores), self.resources.get("gpus"))
        port = _free_port()
        ranks = []
        for rank in range(n_ranks):
            own = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(n_ranks),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            command = [sys.executable, "-P", "-m", "pacebench.worker", str(self.folder)]
            command += ["--rank", str(rank), "--launched-at", repr(launched_at)]
            ranks.append(
                subprocess.Popen(
                    command,
                    env={**environment, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        return ranks

    def _watch(
        self, ranks: Sequence[subprocess.Popen[bytes]], launched_at: float
    ) -> list[int | None]:
        """Wait for the ranks, within the wall limit; gives their exit codes.

        Asked to stop, they may write a checkpoint first; asked twice, they are killed.
        """
        deadline = launched_at + self.plan.wall_limit_seconds
        next_heartbeat = 0.0
        is_asked = False
        while any(rank.poll() is None for rank in ranks):
            now = time.monotonic()
            if now >= next_heartbeat:
                self.store.heartbeat()
                next_heartbeat = now + HEARTBEAT_SECONDS
            if self.n_stops_asked and not is_asked:
                is_asked = True
                deadline = now + STOP_SECONDS
                for rank in ranks:
                    rank.terminate()
            if self.n_stops_asked > 1:
                break
            if any((rank.poll() or 0) < 0 for rank in ranks):
                break  # killed by a signal: the others cannot go on, and would only say so
            if any(rank.poll() is not None for rank in ranks):
                deadline = min(deadline, now + GRACE_SECONDS)  # an end, which the others reach too
            if now >= deadline:
                if not is_asked and all(rank.poll() is None for rank in ranks):
                    self._end(Reason.HUNG, f"no end within {self.plan.wall_limit_seconds:.0f} s")
                break
            time.sleep(POLL_SECONDS)
        return [rank.poll() for rank in ranks]

    def _note_attempt(self, wall_seconds: float, codes: list[int | None]) -> None:
        """Add this run of the ranks to meta.json: its wall time, from launch to last exit."""
        attempts = self.store.meta().get("attempts", [])
        attempts.append({"wall_seconds": wall_seconds, "exit_codes": codes})
        self.store.update_meta(attempts=attempts)

    def _conclude(self, codes: list[int | None]) -> dict[str, Any] | None:
        """Say why the trial ended if its ranks could not."""
        end = self.store.end()
        if end is not None:
            return end
        if EXIT_NOT_A_RESULT in codes:
            raise StoreError(_last_line(self.folder / LOG_FILE))
        if self.n_stops_asked or EXIT_INTERRUPTED in codes:
            return None
        signals = [-code for code in codes if code is not None and code < 0]
        if signals:
            name = signal.Signals(signals[0]).name
            hint = "; perhaps the machine ran out of memory" if name == "SIGKILL" else ""
            return self._end(Reason.KILLED, f"a rank was killed by {name}{hint}")
        last = _last_line(self.folder / LOG_FILE)
        return self._end(Reason.ERROR, f"a rank left with exit code {codes} and no reason: {last}")

    def _end(self, reason: Reason, message: str) -> dict[str, Any] | None:
        rows = self.store.rows()
        step = rows[-1].step if rows else 0
        self.store.write_end(reason, step=step, message=message)
        return self.store.end()


def supervise(folder: Path, resources: dict[str, list[Any]]) -> dict[str, Any] | None:
    """Run the trial planned in `folder`; gives its end.json, or None if it was interrupted.

    `resources` may hold `cores` (ids of CPU cores) and `gpus` (ids as CUDA knows them). Raises
    PlanError, StoreError or DataError if the folder, the disk or the data is at fault.
    """
    return Supervisor(folder, read_plan(folder), resources).run()


def _environment(
    plan: TrialPlan, scratch: Path, n_cores: int, gpus: list[Any] | None
) -> dict[str, str]:
    """Give the ranks' environment: fixed threads and devices, empty compile caches of their own."""
    threads = str(max(1, n_cores // (plan.n_devices if plan.framework == "torch" else 1)))
    caches = {
        "TORCHINDUCTOR_CACHE_DIR": "inductor",
        "TRITON_CACHE_DIR": "triton",
        "CUDA_CACHE_PATH": "cuda",
    }
    environment = {
        **os.environ,
        **{name: str(scratch / folder) for name, folder in caches.items()},
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
        "TMPDIR": str(scratch),
        "PYTHONUNBUFFERED": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if plan.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(g) for g in gpus)
    return environment


def _adopt_orphans() -> None:
    """Make this process the parent of all that its ranks leave behind (Linux), to find them."""
    if sys.platform == "linux":
        import ctypes  # only here: it costs 10 ms

        pr_set_child_subreaper = 36  # linux/prctl.h
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _kill_descendants() -> None:
    """Kill every process that the ranks started, until none is left."""
    for _ in range(100):
        children = psutil.Process().children(recursive=True)
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(children, timeout=1.0)
        if not alive and not psutil.Process().children(recursive=True):
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return next((line for line in reversed(lines) if line.strip()), "")
