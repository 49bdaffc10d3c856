"""Live progress of a plan: one bar over the trials, one line for each that ends."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pacebench.executors.local import Slot, drain
from pacebench.plan import read_plan
from pacebench.rows import FAILURES
from pacebench.store import RunStore

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class _Stop:
    """Treats a closed terminal and a polite kill as Ctrl-C, and says what it does."""

    def __init__(self) -> None:
        self.is_asked = False
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as in a shell's background jobs
                signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        text = (
            "stopping at once"
            if self.is_asked
            else "stopping after the running steps, with checkpoints; once more: without them"
        )
        self.is_asked = True
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"\n{text}\n")
        raise KeyboardInterrupt


def drain_with_progress(folders: Sequence[Path], slots: Sequence[Slot], out: Path) -> int:
    """Run the trials that have not ended and show how they go; gives the exit code."""
    ends = {folder: RunStore(folder).end() for folder in folders}
    waiting = [folder for folder in folders if ends[folder] is None]
    n_failed = sum(end["reason"] in FAILURES for end in ends.values() if end)
    if len(waiting) < len(folders):
        print(f"trials that ended before and are not run again: {len(folders) - len(waiting)}")
    unable: set[str] = set()
    n_submissions = len({read_plan(folder).submission for folder in waiting})
    _Stop()
    running: Sequence[Path] = ()
    bar = tqdm(
        total=len(folders),
        initial=len(folders) - len(waiting),
        unit="trial",
        leave=False,
        mininterval=0.5,
        disable=None,  # a bar only in a terminal; the lines of ended trials appear everywhere
    )
    try:
        with bar, contextlib.closing(drain(waiting, slots)) as reports:
            for report in reports:
                running = report.running
                for folder, end in report.ended:
                    bar.write(_line(folder, end))
                    n_failed += end["reason"] in FAILURES
                    bar.update()
                for folder, line in report.failed:
                    bar.write(f"{folder.relative_to(out)}: {line}")
                    unable.add(read_plan(folder).submission)
                bar.set_postfix_str(_running(report.running))
                if len(unable) >= min(2, n_submissions):
                    break  # not one submission's doing: a full disk or missing data stops all
    except KeyboardInterrupt:
        print(f"interrupted{_without_checkpoint(running)}. The same command again continues.")
        return EXIT_INTERRUPTED
    if unable:
        print("stopped: the same command again continues once this is mended")
    if n_failed:
        print(f"failed trials: {n_failed}; see traceback.txt and log.txt in their folders")
    return EXIT_FAILED if n_failed or unable else 0


def _without_checkpoint(folders: Sequence[Path]) -> str:
    """Say how many of the trials that ran will start from their beginning."""
    stores = [RunStore(folder) for folder in folders]
    n_lost = sum(store.end() is None and not store.has_checkpoint() for store in stores)
    if not n_lost:
        return "; checkpoints are written"
    return f"; {n_lost} of {len(folders)} running trials had no checkpoint yet and start anew"


def _line(folder: Path, end: dict[str, Any]) -> str:
    plan = read_plan(folder)
    rows = RunStore(folder).rows()
    key = f"validation/{plan.rules.metric}"
    values = [row.metrics[key] for row in rows if key in row.metrics]
    choose = max if plan.rules.larger_is_better else min
    best = f"best {plan.rules.metric} {choose(values):.4f}" if values else "no evaluation"
    seconds = f" in {end['submission_seconds']:.1f} s" if "submission_seconds" in end else ""
    message = f": {end['message'].splitlines()[0]}" if end.get("message") else ""
    name = f"{plan.submission} {plan.workload} study {plan.study} trial {plan.trial}"
    return f"  {name}: {end['reason']} at step {end['step']}{seconds}, {best}{message}"


def _running(folders: Sequence[Path]) -> str:
    """Say what each running trial's newest evaluation was."""
    parts = []
    for folder in folders:
        plan = read_plan(folder)
        rows = RunStore(folder).rows()
        where = "starting"
        if rows:
            value = rows[-1].metrics.get(f"validation/{plan.rules.metric}", float("nan"))
            where = f"step {rows[-1].step} {value:.3f}"
        parts.append(f"{plan.submission}/{plan.workload}.{plan.trial} {where}")
    return " | ".join(parts)
